"""The whole system on one machine: real servers, PostgreSQL and Envoy as processes of one supervisor."""

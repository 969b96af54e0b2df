"""Makes the OpenAPI 3.1 document of the REST interface from the contracts.

    contracts   the compiled protos with their comments, HTTP rules and authorization
    rules       what values may look like, which no descriptor can say
    schemas     messages and enums as JSON Schema, one way in and one way out
    errors      what every error looks like, by HTTP status
    operations  methods as operations, one for each binding
    document    all of it

`protos/generate.py` runs `python -m protos.openapi`; nothing at run time
imports it. What Envoy's transcoder accepts and prints, as its configuration
here tells it, is what the document says; tests hold it against the real one.
"""

"""Which commands still wait for an answer."""

from ordergate.orders.v1 import order_entry_pb2 as entry
from ordergate.orders.v1 import orders_pb2 as orders

from clients.sdk.window import Window


def submit(key: str) -> entry.SessionCommand:
    """An order with the key."""
    return entry.SessionCommand(submit=orders.OrderTerms(account="A", cl_ord_id=key))


def test_a_command_waits_until_a_report_names_it() -> None:
    """The report with the correlation id answers, once."""
    window = Window(4)
    window.add([submit("a"), submit("b")])
    assert (len(window), window.room, window.last_correlation_id) == (2, 2, 2)
    assert window.answered_by(orders.ExecutionReport(correlation_id=2)) == 2
    assert window.answered_by(orders.ExecutionReport(correlation_id=2)) == 0
    assert len(window) == 1


def test_reports_of_others_answer_nothing() -> None:
    """A fill of a resting order has no correlation id and no command waits for it."""
    window = Window(4)
    window.add([submit("a")])
    assert window.answered_by(orders.ExecutionReport(account="A", cl_ord_id="a")) == 0
    assert len(window) == 1


def test_a_replayed_report_answers_by_its_key_after_a_resend() -> None:
    """History carries no correlation ids: the key of the request identifies the command."""
    window = Window(8)
    replace = entry.ReplaceOrderRequest(account="A", orig_cl_ord_id="a", cl_ord_id="a2")
    cancel = entry.CancelOrderRequest(account="A", orig_cl_ord_id="b", cl_ord_id="b2")
    window.add([submit("a"), entry.SessionCommand(replace=replace), entry.SessionCommand(cancel=cancel)])
    assert [command.correlation_id for command in window.begin_resend()] == [1, 2, 3]
    assert window.answered_by(orders.ExecutionReport(account="B", cl_ord_id="a")) == 0
    assert window.answered_by(orders.ExecutionReport(account="A", cl_ord_id="b2")) == 3
    assert window.answered_by(orders.ExecutionReport(account="A", cl_ord_id="a2")) == 2
    assert window.answered_by(orders.ExecutionReport(account="A", cl_ord_id="a")) == 1
    assert len(window) == 0


def test_what_is_answered_is_not_sent_again() -> None:
    """A resend holds the unanswered commands only, in sending order."""
    window = Window(8)
    window.add([submit("a"), submit("b"), submit("c")])
    assert window.close(2)
    assert not window.close(2)
    assert [command.submit.cl_ord_id for command in window.begin_resend()] == ["a", "c"]

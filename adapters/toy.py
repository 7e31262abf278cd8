#!/usr/bin/env python3
"""A toy orchestrator behind orderstorm's child-process protocol: an example to read and to start from (docs/adapter.md).

One warehouse, no returns, no cancellations: it reserves, screens, authorizes, releases, captures on shipment, and completes on delivery.
Standard library only. Lines on standard output belong to the protocol; whatever is for a person goes to standard error.
"""
import itertools
import json
import sys

orders = {}  # order id -> what is known of it
stock = {}  # (node, sku) -> [on hand, reserved]
calls = {}  # id of a call that waits -> (order id, what to do with the answer)
keys = {}  # idempotency key -> order id
numbers = itertools.count(1)
said = 0  # events and calls that were written


def say(**line):
    global said
    said += "event" in line or "call" in line
    print(json.dumps(line), flush=True)


def event(order, name, cause, **data):
    order["seq"] += 1
    data["order_id"] = order["id"]
    say(event=name, id=f"toy-e{next(numbers)}", cause=cause, correlation_id=order["correlation"], seq=order["seq"], data=data)


def call(order, name, cause, then, **data):
    call_id = f"toy-c{next(numbers)}"
    calls[call_id] = (order["id"], then)
    data["order_id"] = order["id"]
    # one intent, one key: every attempt of this call would carry the same
    say(call=name, id=call_id, key=f"toy-{order['id']}-{name}", cause=cause, correlation_id=order["correlation"], data=data)


def lines(order):
    return [{"line_id": line["line_id"], "sku": line["sku"], "quantity": line["quantity"]} for line in order["body"]["lines"]]


def place(line):
    """Takes an order on, and asks everybody who has to agree."""
    if line["key"] in keys:
        return say(re=line["id"], **{"class": "replayed"})
    args, cause = line["args"], line["message_id"]
    wanted = args["order"]["lines"]
    node = next((n for n in nodes if all(free(n["name"], want["sku"]) >= want["quantity"] for want in wanted)), None)
    if node is None:
        return say(re=line["id"], **{"class": "rejected", "reason": "out_of_stock"})
    order = {"id": args["order_id"], "seq": 0, "body": args["order"], "correlation": line["correlation_id"], "node": node["name"]}
    # three have to agree before anything is released
    order |= {"state": "open", "net": 0, "open": 3}
    order["total"] = args["order"]["shipping"] + sum(w["quantity"] * w["unit_price"] - w["discount"] + w["tax"] for w in wanted)
    orders[order["id"]] = order
    keys[line["key"]] = order["id"]
    for want in wanted:
        stock[(node["name"], want["sku"])][1] += want["quantity"]
    say(re=line["id"], **{"class": "ok"})
    event(order, "order.accepted", cause, amount=order["total"])
    event(order, "inventory.reserved", cause, node_id=order["node"], lines=lines(order))
    call(order, "fraud.screen", cause, screened)
    call(order, "address.validate", cause, validated)
    call(order, "payment.authorize", cause, authorized, amount=order["total"])


def free(node, sku):
    on_hand, reserved = stock.get((node, sku), (0, 0))
    return on_hand - reserved


def screened(order, cause, answer):
    event(order, "risk.assessed", cause, code=answer.get("code", ""))
    release(order, cause)


def validated(order, cause, answer):
    event(order, "address.validated", cause)
    release(order, cause)


def authorized(order, cause, answer):
    order["payment"] = answer["payment_id"]
    event(order, "payment.authorized", cause, payment_id=order["payment"], amount=order["total"])
    release(order, cause)


def release(order, cause):
    """The last of the three to agree sets the warehouse to work."""
    order["open"] -= 1
    if order["open"] == 0:
        order["fulfillment"] = f"toy-f{next(numbers)}"
        event(order, "fulfillment.allocated", cause, fulfillment_id=order["fulfillment"], node_id=order["node"], rule_version=1, lines=lines(order))
        call(order, "node.release", cause, released, fulfillment_id=order["fulfillment"], node_id=order["node"], rule_version=1, lines=lines(order))


def released(order, cause, answer):
    event(order, "fulfillment.released", cause, fulfillment_id=order["fulfillment"], node_id=order["node"], lines=lines(order))


def captured(order, cause, answer):
    order["net"] += order["total"]
    event(order, "payment.captured", cause, payment_id=order["payment"], fulfillment_id=order["fulfillment"], amount=order["total"])
    complete(order, cause)


def complete(order, cause):
    if order["net"] and order.get("delivered") and order["state"] == "open":
        order["state"] = "completed"
        event(order, "order.completed", cause)


STEPS = {
    "node.accepted": "fulfillment.accepted",
    "node.picked": "fulfillment.picked",
    "node.packed": "fulfillment.packed",
    "node.shipped": "shipment.shipped",
    "carrier.in_transit": "shipment.in_transit",
    "carrier.delivered": "shipment.delivered",
}


def callback(line):
    """A node or a carrier tells what happened; the same news twice changes nothing."""
    order = orders.get(line["args"].get("order_id"))
    step = STEPS.get(line["op"])
    if order is None or step is None:
        return say(re=line["id"], **{"class": "unsupported"})
    say(re=line["id"], **{"class": "ok"})
    if line["op"] in order.setdefault("heard", set()):
        return
    order["heard"].add(line["op"])
    cause, fulfillment = line["message_id"], order["fulfillment"]
    event(order, step, cause, fulfillment_id=fulfillment, node_id=order["node"], lines=lines(order))
    if line["op"] == "node.packed":
        call(order, "carrier.label", cause, lambda *_: None, fulfillment_id=fulfillment, node_id=order["node"])
    if line["op"] == "node.shipped":
        for item in lines(order):
            level = stock[(order["node"], item["sku"])]
            level[0] -= item["quantity"]
            level[1] -= item["quantity"]
        call(order, "payment.capture", cause, captured, payment_id=order["payment"], fulfillment_id=fulfillment, amount=order["total"])
    if line["op"] == "carrier.delivered":
        order["delivered"] = True
        complete(order, cause)


def snapshot(line):
    for item in line["args"].get("lines", []):
        stock.setdefault((line["args"]["node_id"], item["sku"]), [0, 0])[0] = item["quantity"]
    say(re=line["id"], **{"class": "ok"})


for text in sys.stdin:
    line = json.loads(text)
    op = line.get("op", "")
    if op == "quit":
        break
    elif op == "init":
        nodes = [node for node in line["args"]["sandbox"]["estate"]["nodes"] if node.get("kind", "dc") == "dc"]
        say(re=line["id"], result={"protocol": "adapter/1", "name": "toy", "clock": "skip"}, **{"class": "ok"})
    elif op == "skip":
        # it has no timers of its own: time may go wherever the harness wants it, once it has heard everything
        busy = line["args"]["heard"] != said
        to = line["args"].get("to_ns")
        say(re=line["id"], result={"busy": busy, "idle": not busy and to is None, "now_ns": to or 0}, **{"class": "ok"})
    elif op == "GetOrder":
        order = orders.get(line["args"]["order_id"])
        if order is None:
            say(re=line["id"], **{"class": "rejected", "reason": "unknown_order"})
        else:
            held = 0 if "node.shipped" in order.get("heard", ()) else sum(item["quantity"] for item in lines(order))
            say(re=line["id"], result={"state": order["state"], "reserved": held, "net": order["net"]}, **{"class": "ok"})
    elif op == "GetInventory":
        on_hand, reserved = stock.get((line["args"]["node_id"], line["args"]["sku"]), (0, 0))
        say(re=line["id"], result={"on_hand": on_hand, "reserved": reserved}, **{"class": "ok"})
    elif op == "PlaceOrder":
        place(line)
    elif op == "inventory.snapshot":
        snapshot(line)
    elif line.get("answer"):
        order_id, then = calls.pop(line["answer"])
        if line["class"] in ("ok", "replayed"):
            # an answer is named by the call that it answers
            then(orders[order_id], line["answer"], line.get("args", {}))
    elif op:
        callback(line)

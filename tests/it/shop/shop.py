#!/usr/bin/env python3
"""A small shop with an API of its own, to be driven through a profile that maps it (shop.toml, shop-polled.toml).

Baskets hang on a token in a header, errors come with status 200, and all ids are its own. At a checkout it sets goods aside and has the
money held; it takes the money when the last parcel has left. What happens it tells by signed webhooks, in order and before it answers.
`--bug NAME` switches a mistake on. Standard library only. It prints its address and serves until it is killed.
"""
import argparse
import hashlib
import hmac
import itertools
import json
import os
import queue
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

asked = argparse.ArgumentParser()
asked.add_argument("--port", type=int, default=0)
asked.add_argument("--bug", action="append", default=[])
asked.add_argument("--passes-last", type=int, default=10**9, help="requests after which a pass is not known any more")
asked.add_argument("--retry", type=float, default=0.1, help="seconds until a webhook that was not taken is sent again")
asked = asked.parse_args()
SECRET = os.environ.get("SHOP_SECRET", "pst")
PASSWORD = os.environ.get("SHOP_PASSWORD", "sesame")

lock = threading.RLock()  # of all that is below
numbers = itertools.count(1)
markets, variants, warehouses, baskets, orders, parcels, passes = {}, {}, {}, {}, {}, {}, {}
stock = {}  # (warehouse, variant) -> {"units", "held"}
requests, stamps, traces = Counter(), [], set()


class Wrong(Exception):
    """A business error."""


def fresh(letter):
    return f"{letter}{next(numbers)}"


def level(warehouse, variant):
    return stock.setdefault((warehouse, variant), {"units": 0, "held": 0})


def post(url, body, headers=()):
    """Status and answer; status 0 where there was none."""
    request = urllib.request.Request(url, body, {"content-type": "application/json", **dict(headers)})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


def provider(market, path, **body):
    """Asks the payment provider until it has said something: yes, or no."""
    for _ in range(200):
        status, answer = post(markets[market]["provider"] + path, json.dumps(body).encode())
        if 200 <= status < 300:
            return json.loads(answer)
        if 400 <= status < 500 and status != 429:
            raise Wrong("declined")
        time.sleep(0.05)
    raise Wrong("payment-down")


def tell(order, kind, **data):
    """Changes are numbered, for those who poll; and queued, for those who listen."""
    order["updated"] = next(numbers)
    market = markets[order["market"]]
    market["said"] += 1
    event = {"id": fresh("e"), "n": market["said"], "kind": kind, "order": order["id"], "data": data}
    if not ("lose-event" in asked.bug and event["n"] == 4):
        market["queue"].put(event)


def deliver(market):
    """One after another, each until it was taken."""
    while (event := market["queue"].get()) is not None and market["hook"]:
        body = json.dumps(event).encode()
        secret = "another" if "bad-signature" in asked.bug and event["n"] == 3 else SECRET
        signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        while market["open"]:
            status, _ = post(market["hook"], body, {"x-shop-signature": signature}.items())
            if 200 <= status < 300 or 400 <= status < 500:
                break
            time.sleep(asked.retry)


def plan(lines):
    """From one warehouse where one has everything, else what there is wherever it is."""
    market = variants[lines[0]["variant"]]["market"]
    own = [name for name, warehouse in warehouses.items() if warehouse["market"] == market]
    free = {(name, line["variant"]): level(name, line["variant"]) for name in own for line in lines}
    free = {key: 10**6 if "oversell" in asked.bug and held["units"] else held["units"] - held["held"] for key, held in free.items()}
    whole = [name for name in own if all(free[name, line["variant"]] >= line["units"] for line in lines)]
    planned = {}
    for line in lines:
        wanted = line["units"]
        for name in whole[:1] or own:
            taken = min(wanted, max(free[name, line["variant"]], 0))
            if taken:
                planned.setdefault(name, []).append({**line, "units": taken})
            free[name, line["variant"]] -= taken
            wanted -= taken
        if wanted:
            raise Wrong("sold-out")
    return planned


def hold(order, sign):
    for parcel in order["parcels"]:
        for line in parcel["lines"]:
            level(parcel["warehouse"], line["variant"])["held"] += sign * line["units"]


def checkout(token, body):
    basket = baskets[token]
    if not basket["lines"]:
        raise Wrong("empty-basket")
    with basket["lock"]:
        if order := basket.get("order"):
            if "double-charge" in asked.bug:
                provider(order["market"], "/charges", order=order["ref"], cents=order["cents"], idem=fresh("c"))
            return {"order": order["id"], "cents": order["cents"], "repeated": True}
        with lock:
            planned = plan(basket["lines"])
            cents = sum(line["units"] * variants[line["variant"]]["cents"] - line["off"] for line in basket["lines"]) + body["delivery"]
            market = variants[basket["lines"][0]["variant"]]["market"]
            order = {"id": fresh("o"), "ref": body["ref"], "market": market, "cents": cents, "state": "placed", "lock": threading.Lock(), "updated": 0}
            order["parcels"] = [{"id": fresh("p"), "order": order["id"], "warehouse": name, "lines": lines, "state": "wanted"} for name, lines in planned.items()]
            hold(order, +1)
        try:
            order["charge"] = provider(order["market"], "/charges", order=order["ref"], cents=cents, idem=order["id"])["charge"]
        except Wrong:
            with lock:
                hold(order, -1)
            raise
        with lock:
            basket["order"] = orders[order["id"]] = order
            order["taken"] = 0
            parcels.update({parcel["id"]: parcel for parcel in order["parcels"]})
            tell(order, "order.placed", cents=cents)
            tell(order, "charge.held", charge=order["charge"], cents=cents)
            for parcel in order["parcels"]:
                tell(order, "parcel.wanted", parcel=parcel)
        time.sleep(0.03)  # whoever asked learns the number later than the webhook tells it
        return {"order": order["id"], "cents": cents}


def cancel(order):
    with order["lock"]:
        if order["state"] == "cancelled":
            return {"repeated": True}
        if any(parcel["state"] != "wanted" for parcel in order["parcels"]):
            raise Wrong("left-already")
        provider(order["market"], "/charges/void", charge=order["charge"], idem=f"{order['id']}-void")
        with lock:
            order["state"] = "cancelled"
            if "cancel-keeps-stock" not in asked.bug:
                hold(order, -1)
            for parcel in order["parcels"]:
                parcel["state"] = "dropped"
                tell(order, "parcel.dropped", parcel=parcel)
            tell(order, "charge.freed", charge=order["charge"], cents=order["cents"])
            tell(order, "order.cancelled")
        return {}


def move(parcel, state):
    order = orders[parcel["order"]]
    steps = ["wanted", "packed", "shipped", "delivered"]
    with order["lock"]:
        if order["state"] == "cancelled":
            raise Wrong("cancelled")
        if steps.index(parcel["state"]) >= steps.index(state):
            return {"repeated": True}
        with lock:
            parcel["state"] = state
            tell(order, f"parcel.{state}", parcel=parcel)
            for line in parcel["lines"] if state == "shipped" else []:
                level(parcel["warehouse"], line["variant"])["units"] -= line["units"]
                level(parcel["warehouse"], line["variant"])["held"] -= line["units"]
        if not order["taken"] and all(parcel["state"] in ("shipped", "delivered") for parcel in order["parcels"]):
            provider(order["market"], "/charges/take", charge=order["charge"], cents=order["cents"], idem=f"{order['id']}-take")
            with lock:
                order["taken"] = order["cents"]
                tell(order, "charge.taken", charge=order["charge"], cents=order["cents"])
        if all(parcel["state"] == "delivered" for parcel in order["parcels"]):
            with lock:
                order["state"] = "done"
                tell(order, "order.done")
        return {}


def shown(order):
    return {key: value for key, value in order.items() if key != "lock"}


def known(things, key):
    if key not in things:
        raise Wrong("no-such-thing")
    return things[key]


def admin(method, path, query, body):
    of_market = lambda things: [{"id": key, **thing} for key, thing in things.items() if thing["market"] == query["market"]]
    match method, *path:
        case "POST", "markets":
            market = {"queue": queue.Queue(), "said": 0, "open": True, "hook": body.get("hook"), "provider": body["provider"]}
            markets[body["market"]] = market
            threading.Thread(target=deliver, args=(market,), daemon=True).start()
        case "DELETE", "markets", name:
            market = markets[name]
            market["open"] = False
            market["queue"].put(None)
        case "POST", "variants":
            variants[made := fresh("v")] = {"market": body["market"], "label": body["label"], "cents": body["cents"]}
            return {"id": made}
        case "POST", "warehouses":
            warehouses[made := fresh("w")] = {"market": body["market"], "label": body["label"]}
            return {"id": made}
        case "GET", "variants":
            return {"variants": of_market(variants)}
        case "GET", "warehouses":
            return {"warehouses": of_market(warehouses)}
        case "PUT", "stock":
            level(body["warehouse"], body["variant"])["units"] = body["units"]
        case "GET", "stock":
            return level(query["warehouse"], query["variant"])
        case "GET", "orders":
            changed = [order for order in orders.values() if order["market"] == query["market"] and order["updated"] > int(query["since"])]
            return {"orders": [shown(order) for order in changed], "last": max([order["updated"] for order in changed], default=int(query["since"]))}
        case "GET", "orders", number:
            return {"order": shown(known(orders, number))}
        case "POST", "orders", number, "cancel":
            return cancel(known(orders, number))
        case "POST", "parcels", number:
            return move(known(parcels, number), body["state"])
        case _:
            raise Wrong("no-such-path")
    return {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def answer(self, status, body, headers=()):
        body = json.dumps(body).encode()
        self.send_response(status)
        for name, value in [("content-type", "application/json"), ("content-length", str(len(body))), *headers]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def serve(self):
        url = urlsplit(self.path)
        room, *path = url.path.strip("/").split("/")
        body = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or b"{}")
        if room == "counters":
            return self.answer(200, {"requests": requests, "stamps": stamps, "orders": len(orders), "traces": sorted(traces)})
        with lock:
            requests[f"{self.command} /{room}/{path[0] if path else ''}"] += 1
            stamps.append(time.monotonic())
            if trace := self.headers.get("traceparent"):
                traces.add(trace)
        headers = []
        try:
            if room == "alive":
                answer = {"alive": True}
            elif room == "login":
                if body.get("password") != PASSWORD:
                    raise Wrong("wrong-password")
                passes[pass_ := fresh("pass-")] = asked.passes_last
                answer = {"pass": pass_}
            elif room == "basket":
                token = self.headers.get("x-basket")
                if "forget-basket" in asked.bug and path == ["lines"] and token in baskets and baskets[token]["lines"]:
                    asked.bug.remove("forget-basket")
                    del baskets[token]
                if token not in baskets:
                    # a token that is not known is no error: here is a new one, and an empty basket
                    baskets[token := fresh("basket-")] = {"lines": [], "lock": threading.Lock()}
                headers.append(("x-basket", token))
                if path == ["lines"]:
                    line = {"line": fresh("l"), "variant": body["variant"], "units": body["units"], "note": body["note"], "off": body["off"]}
                    known(variants, line["variant"])
                    baskets[token]["lines"].append(line)
                    answer = {"basket": baskets[token]["lines"]}
                else:
                    answer = checkout(token, body)
            else:
                with lock:
                    if passes.get(self.headers.get("x-pass"), 0) < 1:
                        raise Wrong("not-signed-in")
                    passes[self.headers.get("x-pass")] -= 1
                answer = admin(self.command, path, dict(parse_qsl(url.query)), body)
        except Wrong as wrong:
            answer = {"error": {"kind": str(wrong)}}
        self.answer(200, answer, headers)

    do_GET = do_POST = do_PUT = do_DELETE = serve

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # whoever asked may have gone
            super().handle_error(request, client_address)


server = Server(("127.0.0.1", asked.port), Handler)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()

"""The order model in SimPy, as SimPy's users write it: a process for each order, a Resource for each warehouse's pickers.

Usage: order_model.py ORDERS SEED. Prints the line that the Rust engines print.
"""

import json
import random
import sys
import time

import simpy

GAP, PAY, RESERVE, ROUTE, ACKNOWLEDGE = 0.05, 2.0, 0.5, 0.2, 5.0
PICK, PACK, SHIP, DELIVER = 60.0, 120.0, 1800.0, 3000.0
WAREHOUSES, PICKERS = 8, 200


class Shop:
    def __init__(self, orders, seed):
        self.env = simpy.Environment()
        self.draw = random.Random(seed)
        self.pickers = [simpy.Resource(self.env, PICKERS) for _ in range(WAREHOUSES)]
        self.orders = orders
        self.delivered = self.events = 0
        self.lead = 0.0

    def lasts(self, mean):
        return self.env.timeout(self.draw.expovariate(1.0 / mean))

    def shoppers(self):
        for number in range(self.orders):
            if number:
                yield self.lasts(GAP)
            self.env.process(self.order())

    def order(self):
        created = self.env.now
        self.events += 1
        for mean in (PAY, RESERVE, ROUTE, ACKNOWLEDGE):
            yield self.lasts(mean)
            self.events += 1
        with self.draw.choice(self.pickers).request() as picker:
            yield picker
            self.events += 1
            yield self.lasts(PICK)
            self.events += 1
        for mean in (PACK, SHIP, DELIVER):
            yield self.lasts(mean)
            self.events += 1
        self.delivered += 1
        self.lead += self.env.now - created

    def run(self):
        self.env.process(self.shoppers())
        self.env.run()


began = time.process_time_ns()
shop = Shop(int(sys.argv[1]), int(sys.argv[2]))
shop.run()
spent = time.process_time_ns() - began
mean = round(shop.lead / shop.delivered * 1e9)
print(json.dumps({"delivered": shop.delivered, "mean_lead_ns": mean, "events": shop.events, "cpu_ns": spent}))

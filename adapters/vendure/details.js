// Adds to the description of an event what its ids mean: order code and customer, SKUs, the name of a stock location. What cannot change is
// remembered, for an order has some twenty events.
const { Allocation, Order, OrderLine, ProductVariant, StockLevel, StockLocation } = require('@vendure/core');

const kept = 20000;

class Details {
    constructor(connection) {
        this.connection = connection;
        this.forget();
    }

    // Ids begin anew where the database is put back.
    forget() {
        this.known = new Map();
    }

    async find(entity, id, relations) {
        return this.connection.getRepository(entity).findOne({ where: { id }, relations, loadEagerRelations: false });
    }

    async remember(kind, id, look) {
        const key = `${kind} ${id}`;
        if (!this.known.has(key)) {
            const found = await look();
            if (found === undefined) return undefined;
            if (this.known.size >= kept) this.known.delete(this.known.keys().next().value);
            this.known.set(key, found);
        }
        return this.known.get(key);
    }

    sku(id) {
        return this.remember('sku', id, async () => (await this.find(ProductVariant, id))?.sku);
    }

    location(id) {
        return this.remember('location', id, async () => (await this.find(StockLocation, id))?.name);
    }

    line(id) {
        return this.remember('line', id, async () => {
            const line = await this.find(OrderLine, id, { order: true });
            return line && { order: line.order.id, ref: line.customFields.ref, sku: await this.sku(line.productVariantId) };
        });
    }

    // A cart without a customer or without a line is not yet worth remembering.
    async order(id) {
        // TypeORM takes an id that is undefined for no condition at all, and finds somebody else's order.
        if (id === undefined) return undefined;
        let brief;
        const complete = await this.remember('order', id, async () => {
            const order = await this.find(Order, id, { customer: true, lines: true });
            if (!order) return undefined;
            const skus = await Promise.all(order.lines.map(line => this.sku(line.productVariantId)));
            brief = { id: String(id), code: order.code, email: order.customer?.emailAddress ?? null, skus };
            return brief.email && skus.length > 0 ? brief : undefined;
        });
        return complete ?? brief;
    }

    async complete({ type, at, order: orderId, line: lineId, data }) {
        const order = await this.order(orderId ?? (lineId === undefined ? undefined : (await this.line(lineId))?.order));
        const told = {};
        for (const [key, value] of Object.entries(data)) {
            if (key === 'variant') told.sku = await this.sku(value);
            else if (key === 'location') told.location = await this.location(value);
            else if (key === 'parcels') told.parcels = await this.parcels(data.lines);
            else if (key === 'lines') told.lines = await Promise.all(value.map(line => this.completeLine(line)));
            else told[key] = ['id', 'line', 'payment', 'fulfillment', 'refund'].includes(key) && value != null ? String(value) : value;
        }
        const skus = [told.sku, ...(told.lines ?? []).map(line => line.sku), ...(order?.skus ?? [])].filter(Boolean);
        const brief = order && { id: order.id, code: order.code, email: order.email };
        return { skus, body: { type, at, order: brief ?? null, data: told } };
    }

    // What somebody who packs finds: each line, from the locations that it was allocated to, and no more units than were ordered. A line that
    // nothing was allocated to is looked for where its goods usually are.
    async parcels(lines) {
        const parcels = new Map();
        const put = async (location, line, quantity) => {
            const name = (await this.location(location)) ?? '';
            const { ref, sku } = (await this.line(line)) ?? {};
            if (!parcels.has(name)) parcels.set(name, { location: name, lines: [] });
            parcels.get(name).lines.push({ id: String(line), ref, sku, quantity });
        };
        for (const { id, variant, quantity } of lines) {
            let left = quantity;
            const allocations = await this.connection.getRepository(Allocation).find({ where: { orderLine: { id } }, order: { id: 'ASC' }, loadEagerRelations: false });
            for (const allocation of allocations) {
                const units = Math.min(left, allocation.quantity);
                if (units > 0) await put(allocation.stockLocationId, id, units);
                left -= units;
            }
            if (left > 0) {
                const [level] = await this.connection.getRepository(StockLevel).find({ where: { productVariantId: variant }, order: { stockOnHand: 'DESC', id: 'ASC' }, take: 1, loadEagerRelations: false });
                await put(level?.stockLocationId, id, left);
            }
        }
        return [...parcels.values()].sort((a, b) => a.location.localeCompare(b.location));
    }

    async completeLine({ id, variant, quantity, ...more }) {
        const line = await this.line(id);
        return { id: String(id), ref: line?.ref ?? '', sku: line?.sku ?? (variant && (await this.sku(variant))), quantity, ...more };
    }
}

exports.Details = Details;

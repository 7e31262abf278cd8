// Sends events to their subscribers: each in order, again and again until it is answered with success.
const { createHmac, randomUUID } = require('node:crypto');
const { readFileSync, renameSync, writeFileSync } = require('node:fs');

const secretByDefault = process.env.ORDERSTORM_WEBHOOK_SECRET || 'orderstorm';
const firstPause = 50;
const longestPause = 2000;
const timeout = 10_000;
// A subscriber that was away for so long will not come back; neither the memory nor the log should suffer for it.
const forgottenAfter = 600_000;

const pause = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));

class Subscription {
    constructor({ prefix, url, secret }, forget) {
        Object.assign(this, { prefix, url, secret, forget });
        // Names this sequence: a receiver that sees another sender knows that counting began anew.
        this.sender = randomUUID();
        this.sequence = 0;
        this.delivered = 0;
        this.retries = 0;
        this.waiting = [];
        this.open = true;
        this.busy = false;
    }

    push(body) {
        this.waiting.push(JSON.stringify({ id: randomUUID(), sender: this.sender, seq: ++this.sequence, ...body }));
        if (!this.busy) this.deliver();
    }

    async deliver() {
        this.busy = true;
        while (this.open && this.waiting.length > 0) {
            if (await this.send(this.waiting[0])) {
                this.waiting.shift();
                this.delivered += 1;
            }
        }
        this.busy = false;
    }

    async send(body) {
        const signature = createHmac('sha256', this.secret).update(body).digest('hex');
        const headers = { 'content-type': 'application/json', 'x-webhook-signature': signature };
        const began = Date.now();
        for (let wait = firstPause; this.open; wait = Math.min(2 * wait, longestPause)) {
            try {
                const answer = await fetch(this.url, { method: 'POST', headers, body, redirect: 'error', signal: AbortSignal.timeout(timeout) });
                await answer.arrayBuffer();
                if (answer.ok) return true;
            } catch {
                // not there, or too slow: the same as an answer that is no success
            }
            if (Date.now() - began > forgottenAfter) this.forget();
            this.retries += 1;
            await pause(wait);
        }
        return false;
    }

    report() {
        const { prefix, url, sender, sequence, delivered, retries } = this;
        return { prefix, url, sender, published: sequence, delivered, waiting: sequence - delivered, retries };
    }
}

class Subscriptions {
    // They outlive the server, so that one which is killed and started again still knows whom to tell. Events that were not sent are lost.
    constructor(file) {
        this.file = file;
        this.byPrefix = new Map();
        let stored = [];
        try {
            stored = JSON.parse(readFileSync(file, 'utf8'));
        } catch {
            // none yet
        }
        for (const subscription of stored) this.open(subscription);
    }

    open({ prefix, url, secret }) {
        const former = this.byPrefix.get(prefix);
        if (former) former.open = false;
        const subscription = new Subscription({ prefix, url, secret }, () => this.remove(prefix));
        this.byPrefix.set(prefix, subscription);
        return subscription;
    }

    store() {
        if (!this.file) return;
        const stored = [...this.byPrefix.values()].map(({ prefix, url, secret }) => ({ prefix, url, secret }));
        writeFileSync(`${this.file}.new`, JSON.stringify(stored), { mode: 0o600 });
        renameSync(`${this.file}.new`, this.file);
    }

    // The same prefix again takes the place of the former subscription.
    add({ prefix, url, secret = secretByDefault } = {}) {
        if (typeof prefix !== 'string' || prefix === '') throw new Error('`prefix` is missing: how the SKUs begin whose events are wanted');
        if (typeof secret !== 'string') throw new Error('`secret` is not a text');
        if (!URL.canParse(url)) throw new Error('`url` is missing or is none');
        const { protocol, hostname } = new URL(url);
        if (protocol !== 'http:' || !['127.0.0.1', 'localhost', '[::1]'].includes(hostname)) {
            throw new Error('`url` must be http and on this machine');
        }
        const subscription = this.open({ prefix, url, secret });
        this.store();
        return subscription.report();
    }

    remove(prefix) {
        const subscription = this.byPrefix.get(prefix);
        if (!subscription) return false;
        subscription.open = false;
        this.byPrefix.delete(prefix);
        this.store();
        return true;
    }

    list() {
        return [...this.byPrefix.values()].map(subscription => subscription.report());
    }

    // Where several prefixes fit, the longest is meant: `case-1` is not to hear of `case-10`.
    publish(skus, body) {
        const fitting = [...this.byPrefix.values()].filter(({ prefix }) => skus.some(sku => sku.startsWith(prefix)));
        fitting.sort((a, b) => b.prefix.length - a.prefix.length)[0]?.push(body);
    }
}

exports.Subscriptions = Subscriptions;

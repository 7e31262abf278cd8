// Forwards Vendure's events as signed JSON to whoever subscribed. Test cases share one server, so a subscription names a prefix, and gets
// the events of orders and stock whose SKUs begin with it. See subscriptions.js for the sending.
const { Inject } = require('@nestjs/common');
const express = require('express');
const vendure = require('@vendure/core');
const { describe } = require('./events');
const { Details } = require('./details');
const { Subscriptions } = require('./subscriptions');

const subscriptions = new Subscriptions(process.env.VENDURE_SUBSCRIPTIONS);
let details;
let sessions;

class WebhookPlugin {
    constructor(eventBus, connection) {
        this.eventBus = eventBus;
        details = new Details(connection.rawConnection);
        // One at a time, so that subscribers hear of events in the order in which Vendure published them.
        this.last = Promise.resolve();
    }

    onApplicationBootstrap() {
        // Vendure hands an event over after its transaction, when the entities inside may have moved on. The predicate alone is called at
        // the moment of publishing, so the description is made there.
        const described = new WeakMap();
        const published = this.eventBus.filter(event => {
            const descriptions = describe(event);
            if (descriptions.length > 0) described.set(event, descriptions);
            return descriptions.length > 0;
        });
        published.subscribe(event => {
            for (const description of described.get(event)) {
                const completed = details.complete(description);
                completed.catch(() => {});
                this.last = this.last.then(() => completed).then(
                    ({ skus, body }) => subscriptions.publish(skus, body),
                    error => vendure.Logger.error(`an event is lost: ${error.stack}`, 'Webhooks'),
                );
            }
        });
    }
}

Inject(vendure.EventBus)(WebhookPlugin, undefined, 0);
Inject(vendure.TransactionalConnection)(WebhookPlugin, undefined, 1);

const routes = express.Router();
routes.use(express.json());

routes.post('/webhooks', (request, response) => {
    try {
        response.status(201).json(subscriptions.add(request.body));
    } catch (error) {
        response.status(400).json({ error: error.message });
    }
});
routes.get('/webhooks', (request, response) => response.json(subscriptions.list()));
routes.get('/webhooks/:prefix', (request, response) => {
    const found = subscriptions.list().find(subscription => subscription.prefix === request.params.prefix);
    response.status(found ? 200 : 404).json(found ?? { error: 'nobody subscribed to this prefix' });
});
routes.delete('/webhooks/:prefix', (request, response) => response.status(subscriptions.remove(request.params.prefix) ? 204 : 404).end());
// After the database was put back: what is remembered of it is no longer true.
routes.post('/forget', async (request, response) => {
    details.forget();
    await sessions.clear();
    response.status(204).end();
});

exports.WebhookPlugin = WebhookPlugin;

vendure.VendurePlugin({
    imports: [vendure.PluginCommonModule],
    compatibility: '^3.0.0',
    configuration: config => {
        sessions = config.authOptions.sessionCacheStrategy;
        config.apiOptions.middleware.push({ route: 'orderstorm', handler: routes });
        return config;
    },
})(WebhookPlugin);

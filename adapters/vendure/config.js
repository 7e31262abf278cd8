// The server's settings: one channel on a private PostgreSQL, everything on the loopback interface, and our plugins.
const { DefaultLogger, LogLevel, dummyPaymentHandler } = require('@vendure/core');
const { playedPaymentHandler } = require('./payments');
const { PricingPlugin } = require('./pricing');
const { WebhookPlugin } = require('./webhooks');

const loopback = '127.0.0.1';

exports.settings = {
    port: Number(process.env.VENDURE_PORT || 3901),
    databasePort: Number(process.env.VENDURE_DB_PORT || 3902),
    // not a secret, but Vendure refuses its own default
    administrator: { identifier: 'superadmin', password: 'orderstorm' },
};

// The schema is made when the database is seeded, and left alone afterwards: comparing it costs seconds at every start.
exports.config = ({ seeding }) => ({
    apiOptions: { hostname: loopback, port: exports.settings.port, cors: false },
    authOptions: {
        tokenMethod: 'bearer',
        superadminCredentials: exports.settings.administrator,
    },
    dbConnectionOptions: {
        type: 'postgres',
        host: loopback,
        port: exports.settings.databasePort,
        username: 'postgres',
        database: process.env.VENDURE_DATABASE || 'vendure',
        synchronize: seeding,
        logging: false,
    },
    logger: new DefaultLogger({ level: LogLevel.Warn, timestamp: true }),
    paymentOptions: { paymentMethodHandlers: [dummyPaymentHandler, playedPaymentHandler] },
    plugins: [PricingPlugin, WebhookPlugin],
});

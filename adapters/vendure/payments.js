// A payment method whose provider is played from outside, as a real one would be: it authorizes and captures when the shopper pays, and
// refunds when it is asked to. Where the provider is, and what it calls the order, the shopper's payment says.
const { randomUUID } = require('node:crypto');
const { LanguageCode, PaymentMethodHandler } = require('@vendure/core');

const patience = 5000;
const attempts = 5;

class Refused extends Error {}

// One intent, tried until somebody says what became of it: under the same key the provider does nothing twice.
async function call({ provider, order }, verb, intent, fields) {
    for (let attempt = 1; ; attempt += 1) {
        try {
            const answer = await fetch(`${provider}/payment/${verb}`, {
                method: 'POST',
                signal: AbortSignal.timeout(patience),
                headers: { 'content-type': 'application/json', 'x-message-id': randomUUID(), 'idempotency-key': `${verb}-${intent}` },
                body: JSON.stringify({ order_id: order, ...fields }),
            });
            const body = await answer.json();
            if (answer.ok) return body;
            if (answer.status < 500 && answer.status !== 429) throw new Refused(body.code || 'declined');
            throw new Error(`the payment provider answered ${answer.status}`);
        } catch (error) {
            if (error instanceof Refused || attempt === attempts) throw error;
            await new Promise(resolve => setTimeout(resolve, 200 * attempt));
        }
    }
}

const text = value => [{ languageCode: LanguageCode.en, value }];

exports.playedPaymentHandler = new PaymentMethodHandler({
    code: 'played',
    description: text('A provider that is played from outside'),
    args: {},
    createPayment: async (ctx, order, amount, args, metadata) => {
        // Vendure gives a payment no key of its own, so each is a new intent, and two at once are two charges.
        const intent = randomUUID();
        try {
            const { payment_id } = await call(metadata, 'authorize', intent, { amount });
            await call(metadata, 'capture', intent, { amount, payment_id });
            return { amount, state: 'Settled', transactionId: payment_id, metadata };
        } catch (error) {
            if (error instanceof Refused) return { amount, state: 'Declined', errorMessage: error.message, metadata };
            return { amount, state: 'Error', errorMessage: error.message, metadata };
        }
    },
    settlePayment: () => ({ success: true }),
    createRefund: async (ctx, input, amount, order, payment) => {
        await call(payment.metadata, 'refund', randomUUID(), { amount, payment_id: payment.transactionId });
        return { state: 'Settled', transactionId: payment.transactionId };
    },
});

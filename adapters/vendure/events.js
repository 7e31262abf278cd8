// What is told of each event of Vendure: `describe` copies it out of the event at once, ids only. An id that is to be looked up later stands
// beside the data: `order`, `line`, `variant`, `location`, `fulfillment`.
const v = require('@vendure/core');

const orderLine = line => ({ id: line.id, variant: line.productVariantId ?? line.productVariant?.id, quantity: line.quantity });

const fulfillment = entity => ({ fulfillment: entity.id, tracking: entity.trackingCode, method: entity.method });

const refund = entity => ({ refund: entity.id, payment: entity.paymentId ?? entity.payment?.id, amount: entity.total, reason: entity.reason });

const descriptions = new Map([
    [v.OrderStateTransitionEvent, event => ({ type: 'order.state', order: event.order.id, data: { from: event.fromState, to: event.toState } })],
    [v.OrderPlacedEvent, event => ({
        type: 'order.placed',
        order: event.order.id,
        data: {
            from: event.fromState,
            to: event.toState,
            total: event.order.totalWithTax,
            shipping: event.order.shippingWithTax,
            parcels: true,
            lines: event.order.lines.map(line => ({ ...orderLine(line), unit_price: line.unitPriceWithTax, amount: line.discountedLinePriceWithTax })),
        },
    })],
    [v.OrderLineEvent, event => ({ type: 'order.line', order: event.order.id, data: { change: event.type, lines: [orderLine(event.orderLine)] } })],
    [v.PaymentStateTransitionEvent, event => ({
        type: 'payment.state',
        order: event.order.id,
        data: {
            payment: event.payment.id,
            method: event.payment.method,
            amount: event.payment.amount,
            transaction: event.payment.transactionId,
            from: event.fromState,
            to: event.toState,
        },
    })],
    [v.FulfillmentEvent, event => ({
        type: 'fulfillment.created',
        order: event.input.orders[0].id,
        data: { ...fulfillment(event.entity), lines: event.input.lines.map(line => ({ id: line.orderLineId, quantity: line.quantity })) },
    })],
    [v.FulfillmentStateTransitionEvent, event => ({
        type: 'fulfillment.state',
        line: event.fulfillment.lines[0].orderLineId,
        data: {
            ...fulfillment(event.fulfillment),
            from: event.fromState,
            to: event.toState,
            lines: event.fulfillment.lines.map(line => ({ id: line.orderLineId, quantity: line.quantity })),
        },
    })],
    [v.RefundEvent, event => ({ type: 'refund.created', order: event.order.id, data: { ...refund(event.refund), state: event.refund.state } })],
    [v.RefundStateTransitionEvent, event => ({
        type: 'refund.state',
        order: event.order.id,
        data: { ...refund(event.refund), from: event.fromState, to: event.toState },
    })],
    // one for each movement: an allocation may take from several locations
    [v.StockMovementEvent, event => event.stockMovements.map(movement => ({
        type: 'stock.movement',
        line: movement.orderLine?.id,
        data: {
            movement: movement.type,
            id: movement.id,
            variant: movement.productVariant.id,
            location: movement.stockLocation?.id ?? movement.stockLocationId,
            quantity: movement.quantity,
            ...(movement.orderLine && { line: movement.orderLine.id }),
        },
    }))],
]);

exports.describe = event => {
    const description = descriptions.get(event.constructor)?.(event) ?? [];
    return [description].flat().map(one => ({ at: event.createdAt.toISOString(), ...one }));
};

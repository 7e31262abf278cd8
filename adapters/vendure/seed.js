// What every run needs and none changes: a country, a tax of nothing, a shipping method, two payment methods, a promotion, and a stock location
// for each node of the estate: cases that begin together would each make one of the same name. Products are the business of each case.
const { settings } = require('./config');

const base = `http://127.0.0.1:${settings.port}/admin-api`;
let token;

async function admin(query, variables) {
    const answer = await fetch(base, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
        body: JSON.stringify({ query, variables }),
    });
    const body = await answer.json();
    const failed = body.errors?.[0].message || Object.values(body.data).find(field => field?.errorCode)?.message;
    if (failed) throw new Error(`${failed}, in: ${query}`);
    token = answer.headers.get('vendure-auth-token') || token;
    return Object.values(body.data)[0];
}

const named = (name, more) => ({ translations: [{ languageCode: 'en', name, ...more }] });
const operation = (code, args = {}) => ({ code, arguments: Object.entries(args).map(([name, value]) => ({ name, value: String(value) })) });

exports.seed = async () => {
    await admin(
        'mutation($identifier: String!, $password: String!) { login(username: $identifier, password: $password) { ... on CurrentUser { id } ... on ErrorResult { errorCode message } } }',
        settings.administrator,
    );

    const countries = [];
    for (const [code, name] of [['GB', 'United Kingdom'], ['US', 'United States']]) {
        countries.push(await admin('mutation($input: CreateCountryInput!) { createCountry(input: $input) { id } }', { input: { code, enabled: true, ...named(name) } }));
    }
    const zone = await admin('mutation($input: CreateZoneInput!) { createZone(input: $input) { id } }', { input: { name: 'Everywhere', memberIds: countries.map(country => country.id) } });
    const category = await admin('mutation($input: CreateTaxCategoryInput!) { createTaxCategory(input: $input) { id } }', { input: { name: 'None', isDefault: true } });
    await admin('mutation($input: CreateTaxRateInput!) { createTaxRate(input: $input) { id } }', { input: { name: 'None', enabled: true, value: 0, categoryId: category.id, zoneId: zone.id } });

    const channel = await admin('{ activeChannel { id } }');
    await admin('mutation($input: UpdateChannelInput!) { updateChannel(input: $input) { ... on Channel { id } ... on ErrorResult { errorCode message } } }', {
        input: {
            id: channel.id,
            pricesIncludeTax: true,
            defaultCurrencyCode: 'USD',
            availableCurrencyCodes: ['USD'],
            defaultTaxZoneId: zone.id,
            defaultShippingZoneId: zone.id,
            trackInventory: true,
            outOfStockThreshold: 0,
        },
    });

    for (const name of ['DC1', 'DC2', 'S1', 'S2', '3PL1', 'SUP']) {
        await admin('mutation($input: CreateStockLocationInput!) { createStockLocation(input: $input) { id } }', { input: { name } });
    }

    await admin('mutation($input: CreateShippingMethodInput!) { createShippingMethod(input: $input) { id } }', {
        input: {
            code: 'standard',
            fulfillmentHandler: 'manual-fulfillment',
            checker: operation('default-shipping-eligibility-checker', { orderMinimum: 0 }),
            calculator: operation('shipping-from-address'),
            ...named('Standard', { description: '' }),
        },
    });
    for (const [code, automaticSettle] of [['dummy-auto', true], ['dummy-manual', false]]) {
        await admin('mutation($input: CreatePaymentMethodInput!) { createPaymentMethod(input: $input) { id } }', {
            input: { code, enabled: true, handler: operation('dummy-payment-handler', { automaticSettle }), ...named(code, { description: '' }) },
        });
    }
    await admin('mutation($input: CreatePaymentMethodInput!) { createPaymentMethod(input: $input) { id } }', {
        input: { code: 'played', enabled: true, handler: operation('played'), ...named('played', { description: '' }) },
    });
    await admin('mutation($input: CreatePromotionInput!) { createPromotion(input: $input) { ... on Promotion { id } ... on ErrorResult { errorCode message } } }', {
        input: { enabled: true, conditions: [operation('some-line-is-discounted')], actions: [operation('discount-from-line')], ...named('Line discount', { description: '' }) },
    });
};

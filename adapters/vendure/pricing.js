// Lets an order say what its shipping costs and what a line is discounted by, in minor units, and lets a line carry the name that its
// sender has for it. A shop would compute these; a test wants to name them, so that totals are known beforehand.
const { LanguageCode, PluginCommonModule, PromotionCondition, PromotionLineAction, ShippingCalculator, VendurePlugin } = require('@vendure/core');

const text = value => [{ languageCode: LanguageCode.en, value }];

// The address is the one thing that every order sends before its shipping method, so the price travels there and costs no request.
const shippingFromAddress = new ShippingCalculator({
    code: 'shipping-from-address',
    description: text('The price that the shipping address carries'),
    args: {},
    calculate: (ctx, order) => ({
        price: order.shippingAddress?.customFields?.shippingPrice ?? 0,
        priceIncludesTax: true,
        taxRate: 0,
    }),
});

// A promotion needs a condition, and one that is false for most orders costs them nothing.
const someLineIsDiscounted = new PromotionCondition({
    code: 'some-line-is-discounted',
    description: text('A line carries a discount'),
    args: {},
    check: (ctx, order) => order.lines.some(line => line.customFields.discount > 0),
});

const discountFromLine = new PromotionLineAction({
    code: 'discount-from-line',
    description: text('The discount that the line carries'),
    args: {},
    execute: (ctx, line) => -line.customFields.discount,
});

class PricingPlugin {}

exports.PricingPlugin = PricingPlugin;

VendurePlugin({
    imports: [PluginCommonModule],
    compatibility: '^3.0.0',
    configuration: config => {
        config.customFields.Address.push({ name: 'shippingPrice', type: 'int', defaultValue: 0 });
        config.customFields.OrderLine.push(
            { name: 'discount', type: 'int', nullable: false, defaultValue: 0 },
            { name: 'ref', type: 'string', nullable: false, defaultValue: '' },
        );
        config.shippingOptions.shippingCalculators.push(shippingFromAddress);
        // These lists belong to Vendure's defaults and are shared: they are replaced and not added to.
        config.promotionOptions.promotionConditions = [...config.promotionOptions.promotionConditions, someLineIsDiscounted];
        config.promotionOptions.promotionActions = [...config.promotionOptions.promotionActions, discountFromLine];
        return config;
    },
})(PricingPlugin);

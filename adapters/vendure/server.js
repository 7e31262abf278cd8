// Starts Vendure, and tells on standard output when it listens. With --seed it fills an empty database and ends.
const { bootstrap, JobQueueService } = require('@vendure/core');
const { config, settings } = require('./config');
const { seed } = require('./seed');

async function main() {
    const seeding = process.argv.includes('--seed');
    const app = await bootstrap(config({ seeding }));
    if (seeding) {
        await seed();
        await app.close();
        process.exit(0);
    }
    // Jobs run here: a second process would be one more thing to start, stop and wait for.
    await app.get(JobQueueService).start();
    console.log(`listening on port ${settings.port}`);
}

main().catch(error => {
    console.error(error);
    process.exit(1);
});

// Called by scripts/contract with the folder of the validators.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const tools = process.argv[2];
const require = createRequire(join(tools, 'package.json'));
const { Parser } = require('@asyncapi/parser');
let failed = false;

// What a validator has against a text: nothing where it is valid.
const validators = {
  'openapi.json': async (text) => {
    const file = join(tools, 'openapi.json');
    writeFileSync(file, text);
    const cli = join(tools, 'node_modules/@redocly/cli/bin/cli.js');
    const ran = spawnSync(process.execPath, [cli, 'lint', '--extends=spec', '--format=stylish', file], { cwd: tools, encoding: 'utf8' });
    return ran.status === 0 ? '' : (ran.stdout + ran.stderr).trim() || `ended with ${ran.status ?? ran.signal}`;
  },
  'asyncapi.json': async (text) => {
    const { document, diagnostics } = await new Parser().parse(text);
    const errors = diagnostics.filter((found) => found.severity === 0).map((found) => `${found.path.join('/')}: ${found.message}`);
    return document === undefined && errors.length === 0 ? 'it was not understood' : errors.join('\n');
  },
};

const order = '/v1/{sandbox}/orders';
const broken = {
  'openapi.json': [
    ['a reference that leads nowhere', (all) => (all.paths[order].post.parameters[0].$ref = '#/components/parameters/Nobody')],
    ['an answer without a description', (all) => delete all.components.responses.Unknown.description],
    ['a path parameter that nobody declares', (all) => delete all.paths[order].parameters],
    ['a type that does not exist', (all) => (all.components.schemas.PlaceOrder.type = 'thing')],
  ],
  'asyncapi.json': [
    ['a reference that leads nowhere', (all) => (all.operations.events.messages[0].$ref = '#/channels/webhook/messages/nothing')],
    ['an action that does not exist', (all) => (all.operations.events.action = 'shout')],
    ['a message of another channel', (all) => (all.operations.events.messages[0] = all.operations.feeds.messages[0])],
    ['a type that does not exist', (all) => (all.components.schemas['order.accepted'].type = 'thing')],
  ],
};

for (const [name, validate] of Object.entries(validators)) {
  const text = readFileSync(join('contracts/v1', name), 'utf8');
  const against = await validate(text);
  console.log(against === '' ? `${name} is valid` : `${name} is NOT valid:\n${against}`);
  failed ||= against !== '';
  for (const [what, harm] of broken[name]) {
    const copy = JSON.parse(text);
    harm(copy);
    const refused = (await validate(JSON.stringify(copy))) !== '';
    console.log(refused ? `    with ${what} it is refused` : `    with ${what} it was taken for valid: the validator sees nothing`);
    failed ||= !refused;
  }
}
process.exit(failed ? 1 : 0);

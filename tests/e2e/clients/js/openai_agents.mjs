// OpenAI's agents, with chat completions or with responses: the first argument says which.
import assert from 'node:assert/strict';
import { Agent, OpenAIProvider, Runner, tool } from '@openai/agents';
import {
  dataUrl, feature, joined, key, model, NEXT_QUESTION, openaiUrl, protocol, QUESTION, Seen, tell,
} from './feature_report.mjs';

const modelProvider = new OpenAIProvider({
  baseURL: openaiUrl,
  apiKey: key,
  useResponses: protocol === 'responses',
});
const runner = new Runner({ modelProvider, tracingDisabled: true });
const called = [];
const look_up = tool({
  name: 'look_up',
  description: 'Looks an animal up.',
  parameters: Seen,
  execute: async (input) => {
    called.push(Seen.parse(input));
    return 'It was found.';
  },
});
const about = { name: 'looking', instructions: 'Be brief.', model };
const agent = new Agent(about);
const content = [
  { type: 'input_image', image: dataUrl },
  { type: 'input_text', text: QUESTION },
];
const asked = [{ role: 'user', content }];
let first;

await feature('picture', async () => {
  first = await runner.run(agent, asked);
  return first.finalOutput;
});
await feature('stream', async () => {
  const run = await runner.run(agent, asked, { stream: true });
  const said = await joined(run.toTextStream());
  await run.completed;
  assert.equal(said.trim(), first.finalOutput.trim());
  return said;
});
await feature('second turn', async () => {
  const turns = [...first.history, { role: 'user', content: NEXT_QUESTION }];
  return (await runner.run(agent, turns)).finalOutput;
});
await feature('structured output', async () => {
  const seeing = new Agent({ ...about, outputType: Seen });
  return Seen.parse((await runner.run(seeing, asked)).finalOutput);
});
await feature('forced tool', async () => {
  const forced = new Agent({ ...about, tools: [look_up], modelSettings: { toolChoice: 'required' } });
  const ended = await runner.run(forced, asked, { maxTurns: 2 });
  assert.equal(called.length, 1);
  return { ...called[0], then: ended.finalOutput };
});
await feature('offered tools', async () => {
  const helped = new Agent({ ...about, tools: [look_up] });
  return (await runner.run(helped, asked)).finalOutput;
});
tell();

// The AI SDK with one of its providers; the first argument says which.
import assert from 'node:assert/strict';
import { APICallError, embed, generateText, Output, stepCountIs, streamText, tool } from 'ai';
import {
  base64, bytes, EMBEDDER, feature, joined, key, model, NEXT_QUESTION, openaiUrl, protocol, QUESTION, refused, Seen, tell, url,
} from './feature_report.mjs';

const PROVIDERS = {
  async responses() {
    const { createOpenAI } = await import('@ai-sdk/openai');
    const openai = createOpenAI({ baseURL: openaiUrl, apiKey: key });
    return { chat: openai, embedding: openai.embedding };
  },
  async chat() {
    const { createOpenAI } = await import('@ai-sdk/openai');
    const openai = createOpenAI({ baseURL: openaiUrl, apiKey: key });
    return { chat: openai.chat, embedding: openai.embedding };
  },
  async compatible() {
    const { createOpenAICompatible } = await import('@ai-sdk/openai-compatible');
    const options = { name: 'smallsight', baseURL: openaiUrl, apiKey: key, supportsStructuredOutputs: true };
    const provider = createOpenAICompatible(options);
    return { chat: provider, embedding: provider.embeddingModel };
  },
  async anthropic() {
    const { createAnthropic } = await import('@ai-sdk/anthropic');
    return { chat: createAnthropic({ baseURL: openaiUrl, apiKey: key }) };
  },
  async ollama() {
    const { createOllama } = await import('ollama-ai-provider-v2');
    const ollama = createOllama({ baseURL: `${url}/api`, headers: { Authorization: `Bearer ${key}` } });
    return { chat: ollama, embedding: ollama.embedding };
  },
};
const provider = await PROVIDERS[protocol]();

// The provider for Ollama sends bytes as an object of numbers, which Ollama does not understand either.
const image = protocol === 'ollama' ? base64 : bytes;
const messages = [
  {
    role: 'user',
    content: [
      { type: 'image', image, mediaType: 'image/png' },
      { type: 'text', text: QUESTION },
    ],
  },
];
const asked = { model: provider.chat(model), messages };
const called = [];
const look_up = tool({
  description: 'Looks an animal up.',
  inputSchema: Seen,
  execute: async (input) => {
    called.push(Seen.parse(input));
    return 'It was found.';
  },
});
let first;

await feature('picture', async () => {
  first = await generateText(asked);
  return first.text;
});
await feature('stream', async () => {
  const said = await joined(streamText(asked).textStream);
  assert.equal(said.trim(), first.text.trim());
  return said;
});
await feature('second turn', async () => {
  const turns = [...messages, ...first.response.messages, { role: 'user', content: NEXT_QUESTION }];
  return (await generateText({ ...asked, messages: turns })).text;
});
await feature('structured output', async () => {
  const { output } = await generateText({ ...asked, output: Output.object({ schema: Seen }) });
  return Seen.parse(output);
});
await feature('forced tool', async () => {
  const forced = { type: 'tool', toolName: 'look_up' };
  const ended = await generateText({
    ...asked,
    tools: { look_up },
    stopWhen: stepCountIs(2),
    prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber === 0 ? forced : 'auto' }),
  });
  assert.equal(called.length, 1);
  return { ...called[0], then: ended.text };
});
await feature('offered tools', async () => {
  const stream = streamText({ ...asked, tools: { look_up }, stopWhen: stepCountIs(2) });
  return stream.text;
});
if (provider.embedding) {
  await feature('embeddings', async () => {
    const { embedding } = await embed({ model: provider.embedding(EMBEDDER), value: 'a cat' });
    assert.equal(embedding.length, 384);
    return embedding.length;
  });
}
await feature('errors', async () => {
  const error = await refused(generateText({ ...asked, model: provider.chat('no-such-model') }), APICallError);
  assert.equal(error.statusCode, 404);
  assert.match(error.message, /no-such-model/);
  return error.message;
});
tell();

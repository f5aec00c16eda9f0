// LangChain's models of OpenAI's or Ollama's protocol; the first argument says which.
import assert from 'node:assert/strict';
import { AIMessage, HumanMessage, ToolMessage } from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import {
  dataUrl, EMBEDDER, feature, joined, key, model, NEXT_QUESTION, openaiUrl, protocol, QUESTION, refused, Seen, tell, url,
} from './feature_report.mjs';

const PROTOCOLS = {
  async openai() {
    const { ChatOpenAI, OpenAIEmbeddings } = await import('@langchain/openai');
    const shared = { apiKey: key, configuration: { baseURL: openaiUrl } };
    return {
      chat: new ChatOpenAI({ model, ...shared }),
      unknown: new ChatOpenAI({ model: 'no-such-model', ...shared }),
      embeddings: new OpenAIEmbeddings({ model: EMBEDDER, ...shared }),
    };
  },
  async ollama() {
    const { ChatOllama, OllamaEmbeddings } = await import('@langchain/ollama');
    const shared = { baseUrl: url, headers: { Authorization: `Bearer ${key}` } };
    return {
      chat: new ChatOllama({ model, ...shared }),
      unknown: new ChatOllama({ model: 'no-such-model', ...shared }),
      embeddings: new OllamaEmbeddings({ model: EMBEDDER, ...shared }),
    };
  },
};
const { chat, unknown, embeddings } = await PROTOCOLS[protocol]();

const messages = [
  new HumanMessage({
    content: [
      { type: 'image_url', image_url: { url: dataUrl } },
      { type: 'text', text: QUESTION },
    ],
  }),
];
const look_up = tool(({ animal }) => animal, {
  name: 'look_up',
  description: 'Looks an animal up.',
  schema: Seen,
});

const whole = await feature('picture', async () => (await chat.invoke(messages)).text);
await feature('stream', async () => {
  const said = await joined(await chat.stream(messages), (chunk) => chunk.text);
  assert.equal(said.trim(), whole.trim());
  return said;
});
await feature('second turn', async () => {
  const turns = [...messages, new AIMessage(whole), new HumanMessage(NEXT_QUESTION)];
  return (await chat.invoke(turns)).text;
});
await feature('structured output', async () =>
  Seen.parse(await chat.withStructuredOutput(Seen, { name: 'seen', method: 'jsonSchema' }).invoke(messages)),
);
if (protocol === 'openai') {
  await feature('forced tool', async () => {
    const message = await chat.bindTools([look_up], { tool_choice: 'look_up' }).invoke(messages);
    const [call] = message.tool_calls;
    const result = await look_up.invoke(call);
    assert.ok(result instanceof ToolMessage);
    const after = await chat.invoke([...messages, message, result]);
    return { ...Seen.parse(call.args), then: after.text };
  });
}
await feature('offered tools', async () => (await chat.bindTools([look_up]).invoke(messages)).text);
await feature('embeddings', async () => {
  const vector = await embeddings.embedQuery('a cat');
  assert.equal(vector.length, 384);
  return vector.length;
});
await feature('errors', async () => (await refused(unknown.invoke(messages), Error)).message);
tell();

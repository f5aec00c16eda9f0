// Questions with streamed answers: sends a form, yields what arrives, and stops when its signal says so.
import { send } from "./app.js";

/** Yields the objects of the answer: pieces of text, then one with the model, its seconds and tokens. */
export async function* ask(address, form, signal) {
  const response = await send(address, form, { signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) break;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        if (!line.startsWith("data: {")) continue;
        const event = JSON.parse(line.slice(6));
        if (event.problem) throw new Error(event.problem);
        yield event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

// node check.mjs MODEL ROUTE TEXT: the Vercel AI SDK and openai for Node. Any rule that is broken throws.
import assert from "node:assert/strict";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateObject, generateText, jsonSchema, streamText, tool } from "ai";
import OpenAI from "openai";

const [model, route, text] = process.argv.slice(2);
const baseURL = process.env.OPENAI_BASE_URL;
const apiKey = process.env.OPENAI_API_KEY;
const messages = [{ role: "user", content: "Where is my parcel?" }];
const schema = { type: "object", properties: { number: { type: "string" } }, required: ["number"] };

const compatible = createOpenAICompatible({ name: "tutelage", baseURL, apiKey, includeUsage: true });
const providers = { compatible: compatible(model), openai: createOpenAI({ baseURL, apiKey }).chat(model) };

for (const [name, chat] of Object.entries(providers)) {
  const whole = await generateText({ model: chat, messages, maxRetries: 0 });
  assert.equal(whole.response.headers["x-tutelage-route"], route, name);
  assert.deepEqual([whole.text, whole.finishReason], [text, "stop"], name);
  assert.equal(whole.usage.inputTokens + whole.usage.outputTokens, whole.usage.totalTokens, name);

  const stream = streamText({ model: chat, messages, maxRetries: 0 });
  let joined = "";
  for await (const part of stream.textStream) joined += part;
  assert.equal(joined, text, name);
  assert.equal((await stream.response).headers["x-tutelage-route"], route, name);
  assert.equal(await stream.finishReason, "stop", name);
  assert.ok((await stream.usage).outputTokens > 0, name);

  const locate = tool({ description: "Where a parcel is.", inputSchema: jsonSchema(schema) });
  const called = await generateText({ model: chat, messages, tools: { locate }, maxRetries: 0 });
  assert.deepEqual(called.toolCalls.map((call) => [call.toolName, call.input]), [["locate", { number: "three" }]], name);

  const formed = await generateObject({ model: chat, messages, schema: jsonSchema(schema), output: "object" }).catch(
    (error) => error,
  );
  if (name === "openai") assert.deepEqual(formed.object, { number: "three" }, name);
}

await assert.rejects(
  generateText({ model: compatible("nobody"), messages, maxRetries: 0 }),
  (error) => APICallError.isInstance(error) && error.statusCode === 404 && /nobody/.test(error.message),
);

const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const { data, response } = await client.chat.completions.create({ model, messages }).withResponse();
assert.equal(response.headers.get("x-tutelage-route"), route);
assert.equal(data.choices[0].message.content, text);
const chunks = await client.chat.completions.create({
  model,
  messages,
  stream: true,
  stream_options: { include_usage: true },
});
let joined = "";
let usage;
for await (const chunk of chunks) {
  joined += chunk.choices[0]?.delta?.content ?? "";
  usage = chunk.usage ?? usage;
}
assert.equal(joined, text);
assert.equal(usage.prompt_tokens + usage.completion_tokens, usage.total_tokens);
await assert.rejects(client.chat.completions.create({ model: "nobody", messages }), OpenAI.NotFoundError);

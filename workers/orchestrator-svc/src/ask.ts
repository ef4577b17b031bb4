import { json, Problem } from "../../shared/src/problem";
import type { Call } from "../../shared/src/worker";
import { readChat, readCompletion, readSi } from "./asked";
import { attached } from "./attachments";
import type { Env } from "./env.gen";
import type { Answer } from "./journey";
import { creditsOf, serve } from "./serve";
import type { Door } from "./served";

/** A question of a skill. */
export async function ask(call: Call<Env>): Promise<Response> {
  const { headers } = call.request;
  const body = await call.json();
  const asked = await attached(call, readSi(body, headers.get("x-intelligence-tier"), call.caller), body);
  return serve(call, asked, accepts(headers.get("accept"), "text/event-stream"), siDoor);
}

/** A prompt completed. */
export async function complete(call: Call<Env>): Promise<Response> {
  const asked = readCompletion(await call.json(), call.request.headers.get("x-intelligence-tier"), call.caller);
  return serve(call, asked, false, completionDoor);
}

/** OpenAI's chat completions. */
export async function chatCompletions(call: Call<Env>): Promise<Response> {
  const body = await call.json();
  const asked = await readChat(body, call.request.headers.get("x-intelligence-tier"), call.caller);
  if (body.stream !== undefined && body.stream !== null && typeof body.stream !== "boolean") {
    throw new Problem(400, "invalid_stream", "stream is true or false.");
  }
  const { include_usage } = (body.stream_options ?? {}) as { include_usage?: unknown };
  return serve(call, asked, body.stream === true, chatDoor(include_usage === true));
}

function accepts(header: string | null, type: string): boolean {
  return (header ?? "").split(",").some((part) => part.split(";")[0]?.trim().toLowerCase() === type);
}

const event = (name: string, data: unknown) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;

function metaOf(answer: Answer, requestId: string): object {
  const { provider, model, tokensIn, tokensOut, audioMs, attempts } = answer;
  return {
    provider,
    model,
    tokens_in: tokensIn,
    tokens_out: tokensOut,
    ...(audioMs === undefined ? {} : { audio_seconds: audioMs / 1000 }),
    credits_used: Number(creditsOf(answer)),
    request_id: requestId,
    attempts,
  };
}

const siDoor: Door = {
  whole: (answer, { requestId }) =>
    json({ result: { content: answer.text, meta: { finish_reason: answer.finish, ...metaOf(answer, requestId) } } }),
  delta: ({ text }, index) => event("message", { delta: text, index }),
  end: (answer, { requestId }) => event("done", { finish_reason: answer.finish, meta: metaOf(answer, requestId) }),
  broken: ({ code }, { requestId }) =>
    event("done", { finish_reason: "error", meta: { error: code, credits_used: 0, request_id: requestId } }),
};

const completionDoor: Door = {
  ...siDoor,
  whole: ({ text, provider, model }) => json({ text, provider, model }),
};

function chatDoor(includeUsage: boolean): Door {
  const chunk = (id: string, created: number, model: string, more: object) =>
    `data: ${JSON.stringify({ id: `chatcmpl-${id}`, object: "chat.completion.chunk", created, model, ...more })}\n\n`;
  const usage = ({ tokensIn, tokensOut }: Answer) => ({
    prompt_tokens: tokensIn,
    completion_tokens: tokensOut,
    total_tokens: tokensIn + tokensOut,
  });
  const choice = (delta: object, finish_reason: string | null) => ({ choices: [{ index: 0, delta, finish_reason }] });
  return {
    whole: (answer, { requestId, now }) =>
      json({
        id: `chatcmpl-${requestId}`,
        object: "chat.completion",
        created: now,
        model: answer.model,
        choices: [{ index: 0, message: { role: "assistant", content: answer.text }, finish_reason: answer.finish }],
        usage: usage(answer),
      }),
    delta: ({ text, model }, index, { requestId, now }) =>
      chunk(requestId, now, model, choice({ ...(index === 0 ? { role: "assistant" } : {}), content: text }, null)),
    end: (answer, { requestId, now }) =>
      chunk(requestId, now, answer.model, choice({}, answer.finish)) +
      (includeUsage ? chunk(requestId, now, answer.model, { choices: [], usage: usage(answer) }) : "") +
      "data: [DONE]\n\n",
    broken: ({ code }, { requestId }) =>
      `data: ${JSON.stringify({ error: { message: code, type: "server_error", code, request_id: requestId } })}\n\n`,
  };
}

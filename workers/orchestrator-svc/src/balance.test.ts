import { expect, it } from "vitest";

import { stored } from "../../shared/src/money/balance";
import { Balances, rememberedMs } from "./balance";

/** KV with one balance, in credits, that counts how often it is asked. */
function newStore(credits: number) {
  const store = { credits, asked: 0 };
  const get = async () => {
    store.asked++;
    const balance = { account: "a@example.test", balance: store.credits * 1e6, held: 0, overage: 0, version: 1, updated_at_ms: 0 };
    return JSON.stringify(stored(balance, 0));
  };
  return { store, kv: { get } as unknown as KVNamespace };
}

it("asks KV once a second for an account, and shows nothing older", async () => {
  const { store, kv } = newStore(5);
  const balances = new Balances();
  const shown = (account: string, atMs: number) => balances.shown(kv, account, atMs);
  expect(await shown("a@example.test", 1_000)).toBe("5.000");
  store.credits = 4;
  expect(await shown("a@example.test", 999 + rememberedMs)).toBe("5.000");
  expect(store.asked).toBe(1);
  expect(await shown("b@example.test", 999 + rememberedMs)).toBe("4.000");
  expect(await shown("a@example.test", 1_000 + rememberedMs)).toBe("4.000");
  expect(store.asked).toBe(3);
});

it("remembers nothing of a KV that fails, and asks again at once", async () => {
  const balances = new Balances();
  const failing = { get: () => Promise.reject(new Error("down")) } as unknown as KVNamespace;
  expect(await balances.shown(failing, "a@example.test", 0)).toBeNull();
  const { kv } = newStore(5);
  expect(await balances.shown(kv, "a@example.test", 0)).toBe("5.000");
});

import { MODELS } from "../../shared/src/contract.gen";
import { Balances } from "./balance";
import { Breakers } from "./breakers";
import { HedgeBudget } from "./hedge";
import { Meter } from "./meter";

/** What is known of the models is known to the isolate; nothing in it is of any request. */
export const breakers = new Breakers(MODELS.breaker, Date.now);

/** What this isolate may ask twice. */
export const hedgeBudget = new HedgeBudget(MODELS.hedging);

/** Charges on their way to the queue: of requests that were answered, and for a moment only. */
export const meter = new Meter(250);

/** What accounts' balances were a moment ago. */
export const balances = new Balances();

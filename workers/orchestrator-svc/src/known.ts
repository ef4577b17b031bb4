import { MODELS } from "../../shared/src/contract.gen";
import { Breakers } from "./breakers";
import { HedgeBudget } from "./hedge";

/** What is known of the models is known to the isolate; nothing in it is of any request. */
export const breakers = new Breakers(MODELS.breaker, Date.now);

/** What this isolate may ask twice. */
export const hedgeBudget = new HedgeBudget(MODELS.hedging);

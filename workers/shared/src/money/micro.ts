import { PRICES } from "../contract.gen";

/** Credits as JSON shows them. Six decimals of any balance come back as the micro-credits they were. */
export function creditsOf(micro: number): number {
  return micro / PRICES.microPerCredit;
}

/** The micro-credits of a number of credits; undefined for a fraction of one, and for what is no finite number. */
export function microOf(credits: number): number | undefined {
  const micro = Math.round(credits * PRICES.microPerCredit);
  return Number.isSafeInteger(micro) && creditsOf(micro) === credits ? micro : undefined;
}

/** What it costs to have so many milliseconds of audio heard, in whole micro-credits; a started one counts. */
export function priceOfAudio(ms: number): number {
  return Math.ceil((ms * PRICES.microPerAudioSecond) / 1000);
}

/** What tokens cost, in whole micro-credits; a started one counts. */
export function priceOf(tokens: number): number {
  return Math.ceil((tokens * PRICES.microPer1kTokens) / 1000);
}

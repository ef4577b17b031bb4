import { kvVisibilityMs, maxStaleMs } from "../../shared/src/money/mark";
import { readMany } from "../../shared/src/money/publish";
import { putFeedEntry, USAGE_TTL_DAYS } from "../../shared/src/money/usage";
import type { Books, Place, Recorded, Walk } from "./books";
import { compareListed, compareValue, entryOf, type FeedFinding, ourId } from "./entry";

/**
 * What one pass looks at. Lists show what clients are shown, a thousand entries a call, and journal's uses are looked for in KV a hundred
 * a call: every entry there is comes by once in a round, and every use that was recorded comes by once soon after.
 */
export const feedBudget = { recorded: 5_000, lists: 8, journal: 2_000 } as const;

/** Calls to KV that looking at the feed takes at most, and a few repairs. */
export const feedCalls = 110;

/** A use is on its way into the feed for so long: through its queue, and until a write to KV is seen everywhere. It is no drift yet. */
export const onItsWayMs = maxStaleMs;

/** Where the walks go on: after the last use that was looked for, in KV's list, and in the round through the journal. */
export interface FeedPosition {
  readonly recorded: Place;
  readonly walks: readonly Walk[];
}

export interface FeedPass {
  readonly uses: number;
  readonly entries: number;
  readonly shown: number;
  readonly position: FeedPosition;
  readonly findings: readonly FeedRepair[];
}

export interface FeedRepair extends Omit<FeedFinding, "entry"> {
  readonly after: unknown;
  readonly repaired: boolean;
}

export type FeedBooks = Pick<Books, "usesAfter" | "usesOf" | "repairedSince">;

/** Compares the feed with the journal from both sides and makes it good. Nothing that is repaired is left out of the findings. */
export async function reconcileFeed(kv: KVNamespace, books: FeedBooks, from: FeedPosition, left: () => number): Promise<FeedPass> {
  return new FeedWalk(kv, books, left).run(from);
}

class FeedWalk {
  private readonly kv: KVNamespace;
  private readonly books: FeedBooks;
  private readonly left: () => number;
  private readonly now = Date.now();
  /** What was repaired so lately that KV may not show it here. */
  private lately = new Set<string>();
  private readonly findings: FeedRepair[] = [];
  private entries = 0;
  private uses = 0;

  constructor(kv: KVNamespace, books: FeedBooks, left: () => number) {
    this.kv = kv;
    this.books = books;
    this.left = left;
  }

  async run(from: FeedPosition): Promise<FeedPass> {
    this.lately = new Set(await this.books.repairedSince(this.now - kvVisibilityMs));
    const { lists, journal } = feedBudget;
    // What comes later keeps the calls that its looking takes.
    const recorded = await this.walkRecorded(from.recorded, () => this.left() - lists - journal / 100 - 20);
    const listed = await this.walkListed(walkOf(from.walks, "listed", this.now), () => this.left() - journal / 100 - 10);
    const round = await this.walkJournal(walkOf(from.walks, "journal", this.now), this.left);
    const shown = this.findings.filter(({ kind, repaired }) => kind === "missing" && repaired).length;
    const { findings, entries, uses } = this;
    return { uses, entries, shown, position: { recorded, walks: [listed, round] }, findings };
  }

  /** Looks for what was recorded since the last pass. What could not be shown again is where the next one begins. */
  private async walkRecorded(from: Place, left: () => number): Promise<Place> {
    const { uses } = await this.books.usesAfter(from, (this.now - onItsWayMs) * 1000, feedBudget.recorded);
    return (await this.check(uses, left, "stay")) ?? from;
  }

  /** Looks for all that the feed should have, in turn. */
  private async walkJournal(walk: Walk, left: () => number): Promise<Walk> {
    const start = { us: (this.now - USAGE_TTL_DAYS * 86_400_000) * 1000, id: firstId };
    const from = readPlace(walk.cursor) ?? start;
    const before = this.uses;
    const { uses, more } = await this.books.usesAfter(from, (this.now - onItsWayMs) * 1000, feedBudget.journal);
    const place = await this.check(uses, left, "pass");
    const finished = !more && (uses.length === 0 || place?.id === uses.at(-1)?.id);
    return goOn(walk, finished ? null : spellPlace(place ?? from), this.uses - before, this.now);
  }

  /** Answers the place of the last use that needs no more looking; undefined when that is none of them. */
  private async check(uses: readonly Recorded[], left: () => number, failed: "stay" | "pass"): Promise<Place | undefined> {
    let place: Place | undefined;
    for (const page of pagesOf(uses)) {
      const last = await this.checkUses(page, left, failed);
      place = last ?? place;
      if (last?.id !== page.at(-1)?.id) {
        break;
      }
    }
    return place;
  }

  private async checkUses(uses: readonly Recorded[], left: () => number, failed: "stay" | "pass"): Promise<Place | undefined> {
    const looked = uses.map((use) => ({ use, entry: entryOf(use, this.now) }));
    const held = await readMany(
      this.kv,
      looked.flatMap(({ entry }) => entry?.name ?? []),
    );
    const suspects = looked.flatMap(({ entry }) => {
      const finding = entry === undefined ? undefined : compareValue(entry, held.get(entry.name) ?? null);
      return finding === undefined || this.lately.has(finding.key) ? [] : finding;
    });
    const made = await this.mend(suspects, left());
    const open = suspects.find(({ key }) => made.get(key) !== true && (failed === "stay" || !made.has(key)))?.key;
    const end = open === undefined ? uses.length : looked.findIndex(({ entry }) => entry?.name === open);
    this.uses += end;
    const last = uses[end - 1];
    return last === undefined ? undefined : { us: last.recorded_us, id: last.id };
  }

  /** Looks at what KV lists, in turn. A page that could not be made good whole is where the next pass goes on. */
  private async walkListed(walk: Walk, left: () => number): Promise<Walk> {
    let { cursor } = walk;
    const before = this.entries;
    for (let lists = 0; lists < feedBudget.lists && left() > 10; lists++) {
      const page = await this.page(cursor);
      if (!(await this.checkPage(page.keys, left))) {
        break;
      }
      this.entries += page.keys.length;
      cursor = page.list_complete ? null : page.cursor;
      if (cursor === null) {
        break;
      }
    }
    return goOn(walk, cursor, this.entries - before, this.now);
  }

  /** A cursor that KV has forgotten begins the list anew. */
  private page(cursor: string | null): Promise<KVNamespaceListResult<unknown>> {
    const listed = this.kv.list({ prefix: "usage:", cursor });
    return cursor === null ? listed : listed.catch(() => this.kv.list({ prefix: "usage:" }));
  }

  private async checkPage(keys: readonly KVNamespaceListKey<unknown>[], left: () => number): Promise<boolean> {
    const ours = keys.flatMap((listed) => {
      const id = this.lately.has(listed.name) ? undefined : ourId(listed);
      return id === undefined ? [] : { listed, id };
    });
    const suspects: FeedFinding[] = [];
    for (const page of pagesOf(ours)) {
      const uses = new Map((await this.books.usesOf([...new Set(page.map(({ id }) => id))])).map((use) => [use.id, use]));
      suspects.push(...page.flatMap(({ listed, id }) => compareListed(listed, uses.get(id), this.now) ?? []));
    }
    if (suspects.length === 0) {
      return true;
    }
    const told = await this.withValues(suspects.slice(0, Math.max(0, left() - 10)));
    const made = await this.mend(told, left());
    return made.size === suspects.length;
  }

  /** What KV held is kept whole where it is taken away, or where its list said nothing. */
  private async withValues(suspects: readonly FeedFinding[]): Promise<FeedFinding[]> {
    const unknown = suspects.filter(({ before, entry }) => before === null || entry === undefined);
    const held = await readMany(
      this.kv,
      unknown.map(({ key }) => key),
    );
    return suspects.map((finding) => ({ ...finding, before: held.get(finding.key) ?? finding.before }));
  }

  /** Makes findings good, as many as there are calls for; answers how each of those that were tried went. */
  private async mend(findings: readonly FeedFinding[], most: number): Promise<Map<string, boolean>> {
    const within = findings.slice(0, Math.max(0, most - 1)); // one call is the mark's
    const done = await Promise.allSettled(
      within.map(({ key, entry }) => (entry === undefined ? this.kv.delete(key) : putFeedEntry(this.kv, entry))),
    );
    return new Map(
      within.map(({ entry, ...finding }, i) => {
        const repaired = done[i]?.status === "fulfilled";
        this.lately.add(finding.key); // both sides look at it in one pass
        this.findings.push({ ...finding, after: entry === undefined ? null : JSON.parse(entry.value), repaired });
        return [finding.key, repaired];
      }),
    );
  }
}

/** How many uses are compared at once: what is held of them is let go before the next are looked at. */
const pageUses = 500;

function pagesOf<T>(all: readonly T[]): T[][] {
  return Array.from({ length: Math.ceil(all.length / pageUses) }, (_, i) => all.slice(i * pageUses, (i + 1) * pageUses));
}

const firstId = "00000000-0000-0000-0000-000000000000";

function walkOf(walks: readonly Walk[], name: Walk["name"], nowMs: number): Walk {
  const walk = walks.find((one) => one.name === name);
  if (walk === undefined) {
    return { name, cursor: null, began_ms: nowMs, entries: 0, ended_ms: null, took_ms: null, of_entries: null };
  }
  return walk.cursor === null ? { ...walk, began_ms: nowMs, entries: 0 } : walk;
}

/** A walk after one more pass; a round that has come to its end says how long it took. */
function goOn(walk: Walk, cursor: string | null, more: number, nowMs: number): Walk {
  const entries = walk.entries + more;
  const gone = { ...walk, cursor, entries };
  return cursor === null ? { ...gone, ended_ms: nowMs, took_ms: nowMs - walk.began_ms, of_entries: entries } : gone;
}

function spellPlace({ us, id }: Place): string {
  return `${us} ${id}`;
}

function readPlace(cursor: string | null): Place | undefined {
  const [us, id] = cursor?.split(" ") ?? [];
  return us === undefined || id === undefined ? undefined : { us: Number(us), id };
}

// Asks the queries, no more often than they can be answered.

// How far the clock of the answers is ahead of this one, in milliseconds.
let ahead = 0;
let isStreaming = false;
let onReach = () => {};
const owned = new Set();

export const now = () => Date.now() + ahead;

// What a view owns is stopped with it.
export const own = (thing) => owned.add(thing) && thing;

export function endView() {
	for (const thing of owned) thing.stop();
	owned.clear();
}

export function refresh() {
	for (const thing of owned) thing.poke?.();
}

export function setStreaming(is) {
	isStreaming = is;
	refresh();
}

export function watchReach(listener) {
	onReach = listener;
}

// When to ask without a reason, in milliseconds.
export const pace = () => (document.hidden ? 60_000 : isStreaming ? 30_000 : 5_000);

// There is no answer. `status` is 0 if nobody answered.
const failure = (status, message) => Object.assign(new Error(message), { status });

// Asks a query about an app, such as `presence/rooms`; parameters that are null are left out.
export function ask({ provider, app }, query, parameters, signal) {
	const [first, ...rest] = query.split('/');
	const given = Object.entries(parameters).filter(([, value]) => (value ?? '') !== '');
	return get(`/${[first, provider, app, ...rest].map(encodeURIComponent).join('/')}?${new URLSearchParams(given)}`, signal);
}

export async function get(url, signal) {
	const response = await fetch(url, { signal, cache: 'no-store' }).catch((error) => {
		if (signal?.aborted) throw error;
		onReach(false);
		throw failure(0, 'Nobody answers.');
	});
	onReach(true);
	const body = await response.json().catch(() => null);
	if (!response.ok || !body) throw failure(response.status, body?.error?.message ?? body?.message ?? `The answer was ${response.status}.`);
	const difference = (body.as_of ?? Date.now()) - Date.now();
	ahead = Math.abs(difference) < 1500 ? 0 : difference;
	return body;
}

// The index may be behind an event for a moment, so it is asked once more.
const SETTLES = 1500;
// How far work may be ahead of its share of the time: a rare change is seen at once.
const BURST = 1500;

// Works when it is poked: at once, never twice at a time, and a sixth of the time at most. After
// a failure it waits longer each time.
export class Refresher {
	constructor(work, { onError = () => {}, every = pace, settles = true } = {}) {
		Object.assign(this, { work, onError, every, settles, pause: 0, fails: 0, last: 0, owes: 0, control: new AbortController() });
		own(this).poke();
	}

	poke() {
		this.isWanted = true;
		this.isFresh = this.settles;
		if (!this.isRunning) this.arm(this.last + this.pause - Date.now());
	}

	arm(wait) {
		clearTimeout(this.timer);
		if (!this.control.signal.aborted) this.timer = setTimeout(() => this.run(), Math.max(0, wait));
	}

	async run() {
		const { signal } = this.control;
		const began = Date.now();
		[this.isRunning, this.isWanted] = [true, false];
		try {
			await this.work(signal);
			this.fails = 0;
		} catch (error) {
			if (signal.aborted) return;
			if (error.status === undefined) console.error(error);
			this.fails += 1;
			this.onError(error);
		}
		this.isRunning = false;
		this.last = Date.now();
		this.took = this.last - began;
		this.owes = Math.max(this.owes, began) + 6 * this.took;
		this.pause = Math.max(300, this.owes - BURST - this.last, this.fails && Math.min(30_000, 500 * 2 ** this.fails));
		const settle = this.isFresh && !this.isWanted;
		if (settle) this.isFresh = false;
		this.arm(this.isWanted || this.fails ? this.pause : Math.max(this.pause, settle ? SETTLES : this.every()));
	}

	stop() {
		this.control.abort();
		clearTimeout(this.timer);
	}
}

// Asks about the rows that are seen, three at a time: those that changed, or now and then all.
export class RowAsker extends Refresher {
	seen = [];
	known = new Set();

	constructor(one) {
		super(async (signal) => {
			const due = this.seen.filter((key) => !this.known.has(key));
			const keys = due.length ? due : [...this.seen];
			const next = async () => {
				for (let key = keys.shift(); key !== undefined; key = keys.shift()) {
					this.known.add(key);
					// One row without an answer does not hold up the others.
					await one(key, signal).catch((error) => {
						if (!error.status) throw error;
					});
				}
			};
			await Promise.all([next(), next(), next()]);
		});
	}

	show(keys) {
		this.seen = keys;
		if (keys.some((key) => !this.known.has(key))) this.poke();
	}

	touch(key) {
		this.known.delete(key);
		if (this.seen.includes(key)) this.poke();
	}
}

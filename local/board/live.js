// Server-Sent Events, read by hand: a reload resumes, and silence is noticed.

// The longest pause of a connection that works: it has a comment every 15 s.
const SILENCE = 40_000;
// How long a page that nobody sees stays connected.
const HIDDEN_FOR = 20_000;

// A stream that connects again. `onState` gets `connecting`, `live`, `lost` or `polls`: there is none.
export class Stream {
	constructor(url, onEvent, onState = () => {}, last = null) {
		Object.assign(this, { url, onEvent, onState, last, ended: new AbortController() });
		document.addEventListener('visibilitychange', () => {
			clearTimeout(this.timer);
			if (document.hidden) this.timer = setTimeout(() => this.pause(), HIDDEN_FOR);
			else this.start();
		}, { signal: this.ended.signal });
		this.start();
	}

	start() {
		this.fails = 0;
		this.wake?.();
		if (this.control) return;
		this.control = new AbortController();
		this.keep(this.control.signal);
	}

	pause() {
		this.control?.abort();
		this.control = null;
		this.wake?.();
	}

	stop() {
		this.ended.abort();
		this.pause();
	}

	async keep(signal) {
		while (!signal.aborted) {
			this.onState('connecting');
			const status = await this.connect(signal).catch(() => 0);
			if (signal.aborted) return;
			const isOff = status >= 400 && status < 500;
			this.fails += 1;
			this.onState(isOff ? 'polls' : 'lost');
			await new Promise((resolve) => {
				this.wake = resolve;
				setTimeout(resolve, isOff ? 60_000 : Math.min(8_000, 250 * 2 ** this.fails));
			});
		}
	}

	async connect(signal) {
		const attempt = new AbortController();
		const end = () => attempt.abort();
		signal.addEventListener('abort', end);
		let silence = setTimeout(end, SILENCE);
		try {
			const headers = this.last === null ? {} : { 'last-event-id': this.last };
			const response = await fetch(this.url, { headers, signal: attempt.signal, cache: 'no-store' });
			if (!response.ok) return response.status;
			this.onState('live');
			this.fails = 0;
			const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
			for (let rest = ''; ;) {
				const { value, done } = await reader.read();
				if (done) return 0;
				clearTimeout(silence);
				silence = setTimeout(end, SILENCE);
				const events = (rest + value).split('\n\n');
				rest = events.pop();
				events.forEach((event) => this.take(event));
			}
		} finally {
			clearTimeout(silence);
			end();
		}
	}

	take(event) {
		const field = (name) => event.match(new RegExp(`^${name}: ?(.*)$`, 'm'))?.[1];
		this.last = field('id') ?? this.last;
		if (field('data')) this.onEvent(JSON.parse(field('data')));
	}
}

// A table of any length: only the rows that are seen exist.

import { h, put } from './dom.js';

// Rows beyond the edges, so that scrolling shows no gap.
const SPARE = 6;

// `columns` are pairs of a head and of what makes a cell; the first cell, with the link, is made
// once. `onVisible` gets the items that are seen, `onEnd` asks for more. `moves`: time changes cells.
export class List {
	constructor(label, kind, columns, key, { onVisible, onEnd, height = 40, moves = false } = {}) {
		Object.assign(this, { columns, key, onVisible, onEnd, height, moves, items: [], rows: new Map() });
		this.sizer = h('div.sizer', { role: 'presentation' });
		this.scroller = h('div.scroller', {
			role: 'rowgroup',
			scroll: () => this.soon(),
			keydown: (event) => this.move(event),
			focusin: ({ target }) => this.rove(target.closest('.row')?.dataset.key),
		}, this.sizer);
		const heads = h('div.row.heads', { role: 'row' }, columns.map(([head]) => h('span', { role: 'columnheader' }, head)));
		this.table = h('div', { role: 'table', 'aria-label': label }, h('div', { role: 'rowgroup' }, heads), this.scroller);
		this.table.hidden = true;
		this.empty = h('p.empty', 'Loading…');
		this.element = h(`div.${kind}`, this.table, this.empty);
		new ResizeObserver(() => this.soon()).observe(this.scroller);
	}

	// Shows these items; what is seen stays where it is.
	set(items, empty = '') {
		const top = Math.floor(this.scroller.scrollTop / this.height);
		const seen = top > 0 && this.items[top] && this.key(this.items[top]);
		this.items = items;
		this.table.hidden = !items.length;
		this.empty.textContent = items.length ? '' : empty;
		this.table.setAttribute('aria-rowcount', items.length + 1);
		this.sizer.style.height = `${items.length * this.height}px`;
		const at = seen ? items.findIndex((item) => this.key(item) === seen) : -1;
		if (at > top) this.scroller.scrollTop += (at - top) * this.height;
		this.render();
	}

	// The same for items that last. While somebody uses the list, they stay in order.
	merge(items, empty) {
		const has = new Set(items);
		this.set(this.isUsed ? [...new Set([...this.items.filter((item) => has.has(item)), ...items])] : items, empty);
	}

	soon() {
		this.frame ??= requestAnimationFrame(() => this.render());
	}

	render() {
		cancelAnimationFrame(this.frame);
		this.frame = null;
		const { scrollTop, clientHeight } = this.scroller;
		const [first, last] = [Math.floor(scrollTop / this.height), Math.ceil((scrollTop + clientHeight) / this.height)];
		const from = Math.max(0, first - SPARE);
		const kept = new Map();
		this.items.slice(from, last + SPARE).forEach((item, index) => {
			const key = this.key(item);
			const row = this.rows.get(key) ?? this.row(item, key);
			this.rows.delete(key);
			kept.set(key, row);
			const sign = this.moves || JSON.stringify(item);
			if (row.sign !== sign || (this.moves && !row.element.matches(':hover'))) {
				row.sign = sign;
				this.columns.slice(1).forEach(([, cell], column) => put(row.element.children[column + 1], cell(item)));
			}
			row.at = from + index;
			row.element.setAttribute('aria-rowindex', row.at + 2);
			row.element.style.transform = `translateY(${row.at * this.height}px)`;
		});
		for (const [key, row] of this.rows) {
			// A row that has the focus stays until it loses it.
			if (row.element.matches(':focus-within') && this.items[row.at]) kept.set(key, row);
			else row.element.remove();
		}
		this.rows = kept;
		this.rove(this.active);
		this.onVisible?.(this.items.slice(first, last));
		if (last + 30 >= this.items.length) this.onEnd?.();
	}

	row(item, key) {
		const cells = this.columns.map(([, cell], column) => h('span', { role: 'cell' }, column === 0 && cell(item)));
		const element = h('div.row', { role: 'row', 'data-key': key }, cells);
		this.sizer.append(element);
		return { element };
	}

	// One row is in the order of tabs; arrows go to the others.
	rove(key) {
		const first = this.items[Math.ceil(this.scroller.scrollTop / this.height)];
		this.active = this.rows.has(key) ? key : undefined;
		const active = this.active ?? (first && this.key(first));
		for (const [of, { element }] of this.rows) {
			for (const one of element.querySelectorAll('a')) one.tabIndex = of === active ? 0 : -1;
		}
	}

	move(event) {
		const at = this.rows.get(event.target.closest('.row')?.dataset.key)?.at;
		const { clientHeight, scrollTop } = this.scroller;
		const [page, end] = [Math.floor(clientHeight / this.height) - 1, this.items.length - 1];
		const by = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -end, End: end }[event.key];
		if (at === undefined || !by || event.ctrlKey || event.metaKey || event.altKey) return;
		event.preventDefault();
		const to = Math.min(end, Math.max(0, at + by));
		this.scroller.scrollTop = Math.min(to * this.height, Math.max(scrollTop, (to + 1) * this.height - clientHeight));
		this.render();
		this.rows.get(this.key(this.items[to]))?.element.querySelector('a')?.focus({ preventScroll: true });
	}

	get isUsed() {
		return this.scroller.scrollTop > 0 || this.scroller.matches(':hover, :focus-within');
	}
}

// Rows of pages: the first one is read again and again, the others when they are scrolled to.
// `read(next, signal)` answers with `[rows, next]`.
export class Pages {
	constructor(read, key, show) {
		Object.assign(this, { read, key, show, rows: [], next: null });
	}

	// While somebody uses the list, what follows the first page stays.
	async first(signal, isUsed) {
		const [rows, next] = await this.read(null, signal);
		const stays = isUsed && next !== null && this.rows.length > rows.length;
		if (!stays) this.next = next;
		this.join(rows, stays ? this.rows : []);
	}

	async more() {
		if (this.next === null || this.isReading) return;
		this.isReading = true;
		// If there is no answer, scrolling asks again.
		const [rows, next] = await this.read(this.next).catch(() => [[], this.next]);
		[this.isReading, this.next] = [false, next];
		if (rows.length) this.join(this.rows, rows);
	}

	join(rows, others) {
		const has = new Set(rows.map(this.key));
		this.rows = [...rows, ...others.filter((row) => !has.has(this.key(row)))];
		this.show(this.rows);
	}
}

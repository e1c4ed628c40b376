import { now } from './api.js';
import { h, number, put, shortTime, text, time } from './dom.js';

const HOUR = 36e5;
const [WIDTH, HEIGHT] = [1000, 100];
const svg = (tag) => document.createElementNS('http://www.w3.org/2000/svg', tag);

// A chart of `what`, with points `{ at, value }`.
export class Chart {
	constructor(what) {
		this.what = what;
		[this.svg, this.area, this.line] = ['svg', 'path', 'path'].map(svg);
		this.svg.append(this.area, this.line);
		const shown = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img' };
		for (const [name, value] of Object.entries(shown)) this.svg.setAttribute(name, value);
		[this.from, this.note] = [h('span'), h('span')];
		this.element = h('div.chart', this.svg, h('div.axis', this.from, this.note, h('span', 'now')));
	}

	set(all) {
		const from = now() - HOUR;
		const points = all.filter(({ at }) => at >= from);
		const highest = points.reduce((best, point) => (point.value >= best.value ? point : best), { value: 0 });
		const x = ({ at }) => Math.min(WIDTH, ((at - from) / HOUR) * WIDTH).toFixed(1);
		const y = ({ value }) => (HEIGHT - 4 - (value / (highest.value || 1)) * (HEIGHT - 12)).toFixed(1);
		const path = points.length ? `M${points.map((point) => `${x(point)},${y(point)}`).join('L')}H${WIDTH}` : '';
		this.line.setAttribute('d', path);
		this.area.setAttribute('d', path && `${path}V${HEIGHT}H${x(points[0])}Z`);
		put(this.note, path ? ['highest ', h('b', number(highest.value)), ' ', highest.at && h('span.wide', 'at ', time(highest.at))] : 'nothing counted yet');
		this.svg.setAttribute('aria-label', `${this.what} over the last hour: ${this.note.textContent}${path && `, now ${number(points.at(-1).value)}`}`);
		text(this.from, shortTime(from));
	}
}

// What is seen. Ids and names are data from strangers: they only ever become text nodes.

import { now } from './api.js';

// An element: `h('a.big', { href, click() {} }, 'text', child)`. Attributes may be left out.
export function h(what, ...children) {
	const [tag, ...classes] = what.split('.');
	const element = document.createElement(tag);
	if (classes.length) element.className = classes.join(' ');
	if (children[0]?.constructor === Object) {
		for (const [name, value] of Object.entries(children.shift())) {
			if (typeof value === 'function') element.addEventListener(name, value);
			else if ((value ?? false) !== false) element.setAttribute(name, value === true ? '' : value);
		}
	}
	return put(element, children);
}

export function put(element, ...children) {
	element.replaceChildren(...children.flat(9).filter((child) => (child ?? false) !== false));
	return element;
}

// Sets text if it changed, so that a screen reader and a selection are left alone.
export function text(element, value) {
	if (element.textContent !== String(value)) element.textContent = value;
}

const INVISIBLE = /[\0-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
export const readable = (id) => id.replace(INVISIBLE, (it) => `⟨U+${it.charCodeAt(0).toString(16).padStart(4, 0)}⟩`);
// An id. Its direction does not spill into what is beside it.
export const id = (value) => h('bdi.id', { title: readable(value) }, readable(value));
export const link = (href, value, name) => h('a', { href }, id(value), name && name !== value && h('bdi.name', readable(name)));

const format = (options) => {
	const zoned = new Intl.DateTimeFormat('en-GB', options);
	return (at) => zoned.format(at);
};
const [day, minute] = [{ day: 'numeric', month: 'short' }, { hour: '2-digit', minute: '2-digit' }];
export const [shortDay, shortTime] = [format(day), format(minute)];
const [clock, dayAndTime] = [format({ timeStyle: 'medium' }), format({ ...day, ...minute })];
export const exact = format({ weekday: 'short', year: 'numeric', ...day, ...minute, second: '2-digit', fractionalSecondDigits: 3, timeZoneName: 'short' });

export const number = (value) => value.toLocaleString('en');
export const plural = (count, one) => `${number(count)} ${one}${count === 1 ? '' : 's'}`;
export const word = (name) => name?.replaceAll('_', ' ') ?? '–';
export const people = ({ online, online_at_least: least }) => (typeof online === 'number' ? number(online) : least ? `${number(least)}+` : '…');

export function span(ms) {
	const s = Math.round(ms / 1000);
	const units = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
	const first = units.findIndex(([unit]) => s >= unit || unit === 1);
	return units.slice(first, first + 2).map(([unit, name], index) => `${Math.floor((index ? s % units[first][0] : s) / unit)} ${name}`).join(' ');
}

const ago = (at) => (now() - at < 1500 ? 'now' : `${span(now() - at).split(' ', 2).join(' ')} ago`);

// A time of day, or how long ago it was. Its title is exact. Null is a dash.
export function time(at, isAgo = false) {
	if (!at) return '–';
	const words = isAgo ? ago(at) : (Math.abs(now() - at) < 72e6 ? clock : dayAndTime)(at);
	return h('time', { datetime: new Date(at).toISOString(), title: exact(at), 'data-ago': isAgo && at }, words);
}

export function age() {
	for (const element of document.querySelectorAll('[data-ago]')) text(element, ago(element.dataset.ago));
}

export const chip = (kind, ...children) => h(`span.chip.${kind}`, ...children);
export const assumed = (is, reason) => is && (reason === 'reconciled' ? chip('repair', 'repair') : chip('assumed', 'assumed'));
export const none = (words) => h('p.empty', words);
// Why there is no answer; `unknown` is said of what nothing is known of.
export const failed = ({ status, message }, unknown) => (status === 404 && unknown ? none(unknown) : h('p.failed', { role: 'alert' }, message));
export const heading = (...children) => h('h1', { tabindex: -1 }, ...children);

export function section(title, ...children) {
	const labelled = `h-${title.replace(/\W+/g, '-')}`;
	return h('section.panel', { 'aria-labelledby': labelled }, h('h2', { id: labelled }, title), ...children);
}

export function past(ctx, spans, change) {
	const options = Object.keys(spans).map((name) => h('option', { selected: name === ctx.parameters.get('span') }, name));
	const keep = () => {
		ctx.keep('span', select.value);
		change();
	};
	const select = h('select', { 'aria-label': 'How much of the past', change: keep }, options);
	return { element: h('div.tools', select), length: () => spans[select.value] };
}

export function table(label, columns, rows) {
	const heads = columns.map(([head]) => h('th', { scope: 'col' }, head));
	const body = rows.map((row) => h('tr', columns.map(([, cell]) => h('td', cell(row)))));
	return h('div.scroll', { tabindex: 0, role: 'region', 'aria-label': label }, h('table', h('thead', h('tr', heads)), h('tbody', body)));
}

export function code(value) {
	const shown = h('pre', { tabindex: 0, role: 'region', 'aria-label': 'Command' }, value);
	const click = async ({ target }) => {
		await navigator.clipboard?.writeText(value).catch(() => {});
		text(target, 'Copied');
		setTimeout(text, 1500, target, 'Copy');
	};
	return h('div.code', shown, h('button', { type: 'button', click }, 'Copy'));
}

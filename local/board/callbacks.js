// The stream of callbacks, each with its outcome.

import { own } from './api.js';
import { chip, code, h, heading, number, text, time, word } from './dom.js';
import { List } from './list.js';
import { Stream } from './live.js';

const SIGNS = { applied: '✓', duplicate: '=', stale: '↶', ignored: '·', rejected: '✕', spilled: '⤓' };
const REMEMBERED = 500;

export function callbacks({ app, config, link, keep, parameters }) {
	const view = (...children) => ({ title: 'Callbacks', element: h('div', heading('Callbacks'), h('div.panel', ...children)) });
	if (config.mode !== 'laptop') {
		const words = 'A stack logs each callback with its outcome. Ask CloudWatch Logs Insights:';
		return view(h('p', words), code(config.logs_query));
	}

	const all = [];
	let [wanted, timer] = [parameters.get('outcome') ?? '', null];
	const list = new List('Callbacks, newest first', 'callbacks', [
		['Time', ({ at }) => time(at)],
		['Outcome', ({ outcome, reason, status, message }) => [
			chip(outcome, `${SIGNS[outcome] ?? '?'} ${outcome}`), reason && h('span.reason', { title: message }, ` ${status} ${word(reason)}`),
		]],
		['Callback', ({ event, route, count }) => [event ?? route, count > 1 && ` (${number(count)})`]],
		['About', ({ app: of, room, user }) => (of === null ? h('span.quiet', 'not verified') : [
			room !== null && link('room', room), ' ', user !== null && link('person', user),
		])],
	], ({ id }) => String(id));
	const buttons = ['', ...Object.keys(SIGNS)].map((outcome) => h('button', {
		type: 'button', value: outcome,
		click() {
			wanted = outcome;
			keep('outcome', outcome);
			render();
		},
	}, outcome ? chip(outcome, `${SIGNS[outcome]} ${outcome}`) : 'all', ' ', h('b')));

	function render() {
		timer = null;
		const having = (outcome) => all.filter((of) => !outcome || of.outcome === outcome);
		for (const button of buttons) {
			text(button.lastChild, number(having(button.value).length));
			button.setAttribute('aria-pressed', button.value === wanted);
		}
		list.set(having(wanted).reverse(), 'No such callback has arrived yet.');
	}

	own(new Stream('/board/callbacks', (of) => {
		// Who sent what is not verified is not known.
		if (of.provider !== app.provider || (of.app ?? app.app) !== app.app) return;
		all.push(of);
		if (all.length > REMEMBERED) all.shift();
		timer ??= setTimeout(render, 200);
	}));
	render();
	return view(h('div.tools', { role: 'group', 'aria-label': 'Outcome' }, buttons), list.element);
}

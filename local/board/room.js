// A room: who is in, and a timeline of their stays.

import { Refresher, ask, now } from './api.js';
import { Changes } from './changes.js';
import { assumed, chip, exact, failed, h, heading, id, link, past, people, plural, put, readable, section, shortDay, shortTime, span, text, time, word } from './dom.js';
import { List, Pages } from './list.js';

const DAY = 864e5;
const SPANS = { '15 minutes': DAY / 96, '1 hour': DAY / 24, '6 hours': DAY / 4, '24 hours': DAY, '7 days': 7 * DAY };
const PAGE = 500;
const REPAIRED = 'repaired: the provider said so when it was asked';
const LOST = 'assumed: its callback never arrived';
const LEGEND = {
	'bar': 'a visit', 'bar.open': 'still in', 'bar.end-assumed.end-lost': 'end assumed: a callback was lost',
	'bar.end-assumed.end-repair': 'repaired', 'checked': 'last checked',
};

export function room(ctx) {
	const { app, id: name } = ctx;
	let [answer, missing, before] = [null, null, null];
	const isRtc = app.provider === 'zego' && !name.startsWith('z:');
	const from = () => Math.floor(now() - window_.length());
	const place = (at) => Math.min(100, Math.max(0, ((at - now()) / window_.length() + 1) * 100));
	const ofPerson = ['Person', ({ user, name: called }) => ctx.link('person', user, called)];

	const [figure, asOf, chips, problem, axis] = ['strong.figure', 'p.quiet.as-of', 'p.chips', 'div', 'span.ticks'].map((of) => h(of));
	const list = new List('People in the room, who came last first', 'members', [
		ofPerson,
		['Role', ({ role }) => word(role)],
		['Since', (row) => [time(row.entered_at, true), ' ', assumed(row.entered_assumed)]],
	], ({ user, session }) => `${user}\n${session}`, { onEnd: () => members.more() });
	const timeline = new List('Stays, one bar for each visit', 'timeline', [
		ofPerson,
		[axis, ({ visits: all }) => h('span.bars', { role: 'img', 'aria-label': all.slice(-5).map(describe).join('; ') }, all.map(bar))],
	], ({ user }) => user, { height: 34, moves: true, onEnd: () => visits.more() });
	const window_ = past(ctx, SPANS, () => {
		visits.rows = [];
		refreshers[1].poke();
	});

	// How each side of a visit is known: `lost` if a callback is, `repair` if the provider said it.
	function sides({ session, reason, entered_assumed: begin, assumed: end }) {
		// A stay that began because the provider said so has no session.
		return [begin && (isRtc && session === null ? 'repair' : 'lost'), end && (reason === 'reconciled' ? 'repair' : 'lost')];
	}

	function bar(visit) {
		const [begin, end] = sides(visit);
		const left = place(visit.entered_at ?? visit.left_at);
		const kinds = ['bar', visit.left_at === null && 'open', begin && `begin-assumed begin-${begin}`, end && `end-assumed end-${end}`];
		const element = h('i', { class: kinds.filter(Boolean).join(' '), title: describe(visit) });
		element.style.left = `${left}%`;
		element.style.width = `${place(visit.left_at ?? now()) - left}%`;
		return element;
	}

	function describe(visit) {
		const { entered_at: at, left_at: left, reason, role } = visit;
		const [begin, end] = sides(visit).map((side) => side && (side === 'lost' ? LOST : REPAIRED));
		const began = `${at === null ? 'unknown' : exact(at)}${begin ? ` (${begin})` : ''}`;
		if (left === null) return `In since ${began}, ${word(role)}`;
		return `${began} to ${exact(left)}${at === null ? '' : `, ${span(left - at)}`}, ${word(role)}, ${word(reason)}${end ? ` (${end})` : ''}`;
	}

	function tick() {
		const format = window_.length() > DAY ? shortDay : shortTime;
		put(axis, [0, 1, 2, 3].map((quarter) => h('span', format(from() + (quarter / 4) * window_.length()))));
		const checked = answer?.checked_at ?? 0;
		timeline.element.classList.toggle('is-checked', checked > from());
		timeline.element.style.setProperty('--checked', `${place(checked)}%`);
		timeline.render();
	}

	const changes = new Changes(ctx);
	const members = new Pages(async (next, signal) => {
		// Which callbacks are missing is asked of rooms of one page: it reads everybody who was in.
		const isSmall = next === null && isRtc && !answer?.next;
		const got = await ask(app, 'presence/rooms', { room: name, limit: PAGE, changes: isSmall || null, count: next && false, next }, signal);
		if (next === null) head(got);
		return [got.members, got.next];
	}, list.key, (rows) => list.set(rows, 'Nobody is in.'));
	const visits = new Pages(async (next, signal) => {
		const got = await ask(app, 'attendance/rooms', { room: name, from: from(), limit: PAGE, next }, signal);
		for (const visit of next === null ? got.sessions : []) {
			const { entered_at: at, left_at: left } = visit;
			if (at > from()) changes.add({ ...visit, type: 'presence.entered', at, assumed: visit.entered_assumed, reason: null });
			if (left > from()) changes.add({ ...visit, type: 'presence.left', at: left });
		}
		return [got.sessions, got.next];
	}, (visit) => JSON.stringify([visit.user, visit.life, visit.session, visit.entered_at ?? visit.left_at]), (rows) => {
		const folk = new Map();
		for (const visit of rows) {
			if (!folk.has(visit.user)) folk.set(visit.user, { ...visit, visits: [] });
			folk.get(visit.user).visits.push(visit);
		}
		timeline.set([...folk.values()], 'Nobody was in during this time.');
		tick();
	});

	function head(got) {
		answer = got;
		missing = got.changes?.missing ?? missing;
		const [count, words] = [people(got), got.online === 1 ? 'person is in' : 'people are in'];
		text(figure, count);
		asOf.dataset.asOf = got.as_of;
		put(asOf, words, ', counted at ', time(got.as_of), '.');
		put(
			chips,
			got.open ? chip('live', 'open') : chip('off', 'closed'),
			missing !== null && chip(missing ? 'lost' : 'off', missing ? plural(missing, 'callback') : 'no callback', ' lost'),
			chip('off', got.checked_at ? ['checked ', time(got.checked_at, true)] : 'never checked with the provider'),
			got.life && chip('off', 'life ', id(got.life)),
		);
		put(problem);
		ctx.title(`${count} in ${readable(name)}`);
		if ((before ?? count) !== count) ctx.say(`${count} ${words}.`);
		before = count;
	}

	const onError = (error) => put(problem, failed(error, 'Nothing is known of this room yet.'));
	const refreshers = [[members, list], [visits, timeline]].map(([pages, of]) => new Refresher((signal) => pages.first(signal, of.isUsed), { onError }));
	function event(of) {
		if (of.room !== name) return;
		changes.add(of);
		// The pages after the first one are not asked for again.
		const isOf = ({ user, session }) => user === of.user && (of.session === null || session === of.session);
		if (of.type === 'presence.left' && members.next !== null) members.rows = members.rows.filter((row) => !isOf(row));
		for (const one of refreshers) one.poke();
	}
	ctx.events().forEach(event);

	const legend = h('ul.legend', Object.entries(LEGEND).map(([kind, label]) => h('li', h(`i.${kind}`), label)));
	return {
		title: readable(name),
		element: h(
			'div',
			heading(h('span.kind', 'Room '), id(name)),
			h('div.summary', figure, asOf, chips),
			problem,
			h(
				'div.columns',
				section('Timeline of stays', window_.element, timeline.element, legend),
				h('div', section('People in the room', list.element), section('Changes', changes.element)),
			),
		),
		event,
		tick,
	};
}

// Who is online now, in which rooms; and in which rooms callbacks were lost.

import { Refresher, RowAsker, ask, now, own, pace } from './api.js';
import { Changes } from './changes.js';
import { Chart } from './chart.js';
import { chip, code, failed, h, heading, none, number, people, plural, put, section, text, time } from './dom.js';
import { List } from './list.js';

const [PAGE, LONG_PAGE] = [100, 1000];
const [MINUTE, HOUR] = [6e4, 36e5];
const HOLES = 'RTC numbers the changes of a room: a gap is a lost callback, unless it was the latest.';
// How long an empty room is still shown.
const EMPTY_FOR = 8_000;

export const holes = (ctx) => overview(ctx, true);

export function overview(ctx, isHoles = false) {
	const { app, keep, parameters } = ctx;
	const rooms = new Map();
	// What was counted since: it completes the samples of each minute.
	const points = [];
	let [samples, filter] = [[], parameters.get('filter') ?? ''];
	// With more than a page of rooms, numbers are asked for of those that are seen.
	let [isMany, isComplete, error] = [];

	const figure = (what) => {
		const [value, chart] = [h('strong.figure', '…'), new Chart(what)];
		return { value, chart, element: h('section.panel.stat', { 'aria-label': what }, h('h2', what), value, chart.element) };
	};
	const [inRooms, live] = ['People in rooms', 'Live rooms'].map(figure);
	const [asOf, found, problem, lesson] = ['p.quiet.as-of', 'output.quiet', 'div', 'div'].map((of) => h(of));
	const input = h('input', {
		type: 'search', value: filter, placeholder: 'Filter rooms', 'aria-label': 'Filter rooms',
		input() {
			filter = input.value;
			keep('filter', filter);
			order();
		},
	});
	const list = new List(`Live rooms, ${isHoles ? 'most lost callbacks' : 'newest activity'} first`, 'rooms', [
		['Room', ({ room }) => ctx.link('room', room)],
		['People', (row) => h('b.number', people(row))],
		['Lost', ({ missing }) => missing > 0 && chip('lost', number(missing), ' lost')],
		['Last activity', ({ last }) => time(last, true)],
		['Last checked', ({ checked }) => (checked === null ? 'never' : time(checked, true))],
	], ({ room }) => room, { onVisible: (seen) => isMany && asker.show(seen.map(({ room }) => room)) });
	const asker = new RowAsker(async (room, signal) => {
		take({ missing: rooms.get(room)?.missing, ...await ask(app, 'presence/rooms', { room, limit: 1 }, signal) });
		list.render();
	});

	function take({ room, last_activity_at: last = 0, online, online_at_least, missing, checked_at: checked, isEntered }) {
		const row = rooms.get(room) ?? { room, last: 0 };
		row.last = Math.max(row.last, Math.min(last, now()));
		if ((online ?? online_at_least ?? null) !== null) {
			Object.assign(row, { online, online_at_least, missing, checked, emptyAt: online === 0 ? row.emptyAt ?? Date.now() : undefined });
		}
		if (isEntered) row.emptyAt = undefined;
		rooms.set(room, row);
		return row;
	}

	let timer = null;
	function order() {
		clearTimeout(timer);
		timer = null;
		const isIn = ({ room, emptyAt, missing }) => !(Date.now() - emptyAt > EMPTY_FOR) && room.toLowerCase().includes(filter.toLowerCase()) && (!isHoles || missing > 0);
		const rank = (row) => (isHoles ? row.missing : row.last);
		const rows = [...rooms.values()].filter(isIn).sort((a, b) => rank(b) - rank(a) || (a.room < b.room ? -1 : 1));
		list.merge(rows, error ? '' : isComplete ? 'No such room.' : 'Loading…');
		text(found, `${number(rows.length)} of ${plural(rooms.size, 'room')}${isComplete ? '' : ' listed so far'}`);
		if (rows.some(({ emptyAt }) => emptyAt)) later(EMPTY_FOR);
		learn();
	}
	const later = (wait) => { timer ??= setTimeout(order, wait); };
	own({ stop: () => clearTimeout(timer) });

	function count(rows, at, totals) {
		const sum = rows.reduce((all, row) => all + (row.online ?? row.online_at_least), 0);
		const of = isMany ? totals : { online: sum, rooms: rows.length, as_of: at, at_least: rows.some(({ online }) => online === null) };
		if (!isMany) points.push({ ...of, at });
		if (points.length > 4000) points.splice(0, 2000);
		put(asOf, of && ['Counted at ', time(of.as_of), '. '], isMany && 'So many rooms are counted once a minute. ', 'Who is in two rooms counts twice.');
		text(inRooms.value, of ? number(of.online) + (of.at_least ? '+' : '') : '…');
		text(live.value, of ? number(of.rooms) : '…');
		asOf.dataset.asOf = of?.as_of;
		if (!isHoles) ctx.title(`${inRooms.value.textContent} in rooms`);
		draw();
	}

	function draw() {
		const all = [...samples, ...points].sort((a, b) => a.at - b.at);
		inRooms.chart.set(all.map(({ at, online: value }) => ({ at, value })));
		live.chart.set(all.map(({ at, rooms: value }) => ({ at, value })));
	}

	const walker = new Refresher(async (signal) => {
		const began = now();
		const listed = new Set();
		let [next, at, totals] = [null];
		const read = async (parameters) => {
			const answer = await ask(app, 'rooms', { ...parameters, next }, signal);
			for (const row of answer.rooms) listed.add(take(row));
			({ next, as_of: at, totals } = answer);
			if (!isComplete) order();
		};
		// A page may be short and still have a next one. What is lost is only known with numbers.
		do await read({ limit: PAGE });
		while (next !== null && (isHoles || (listed.size < PAGE && !(totals?.rooms > PAGE))));
		isMany = next !== null;
		walker.settles = !isMany;
		count([...listed], at, totals);
		while (next !== null) await read({ limit: LONG_PAGE, count: false });
		for (const row of rooms.values()) {
			if (listed.has(row)) continue;
			// What happened since may not be in the list yet.
			if (row.last < began - 5_000) rooms.delete(row.room);
			else if (!isMany) take({ ...row, online: 0 });
		}
		[isComplete, error] = [true, null];
		put(problem);
		order();
	}, {
		every: () => Math.max(isMany ? MINUTE : pace(), 10 * walker.took),
		onError(of) {
			error = of;
			put(problem, failed(of));
			order();
		},
	});

	new Refresher(async (signal) => {
		samples = (await ask(app, 'stats', { from: Math.floor(now() - HOUR), limit: 1000 }, signal)).samples;
		draw();
		learn();
	}, { settles: false, every: () => MINUTE });

	const changes = new Changes(ctx);
	const others = !isHoles && folk(ctx, learn);
	const isOfDevices = app.provider === 'openim' && !isHoles;
	const lists = h(
		'div.columns',
		h('div', isOfDevices ? problem : section(isHoles ? 'Rooms with lost callbacks' : 'Rooms', h('div.tools', input, found), problem, list.element), others.element),
		ctx.config.events && !isHoles && section('Changes', changes.element),
	);
	const figures = isHoles ? h('p.lead', HOLES) : h('div', h('div.stats', inRooms.element, live.element), asOf);

	const isTeaching = () => isComplete && !error && !rooms.size && !samples.some(({ online }) => online) && !ctx.events().length && !others.all?.size;
	function learn() {
		const is = !isHoles && isTeaching();
		[lists.hidden, figures.hidden, lesson.hidden] = [is, is || isOfDevices, !is];
		if (is && !lesson.firstChild) put(lesson, teach(ctx.config));
	}

	function event(of) {
		changes.add(of);
		others.add?.(of);
		if (of.room === undefined || of.type === 'room.settled') return;
		const isEntered = of.type === 'presence.entered';
		if (rooms.has(of.room) || (isMany && isEntered)) take({ room: of.room, last_activity_at: of.at, isEntered });
		if (isMany) {
			asker.touch(of.room);
			later(1000);
		} else {
			walker.poke();
		}
	}
	ctx.events().forEach(event);
	return { title: isHoles && 'Holes', element: h('div', heading(isHoles ? 'Holes' : 'Now'), lesson, figures, lists), isTeaching, event };
}

function teach({ commands, example_apps: isExample }) {
	if (!commands?.length) return none('Nothing has happened yet.');
	return h(
		'div.panel.lead',
		h('p', 'This page shows who is where. To see it work, play a provider: run a command in a second terminal.'),
		isExample === false && h('p', 'Set the same ROLLCALL_APPS there: it has the secrets.'),
		commands.map(({ provider, command }) => [h('h3', provider), code(command)]),
	);
}

function folk(ctx, onSize) {
	const { app } = ctx;
	const all = new Map();
	const list = new List('People, seen last first', 'people', [
		['Person', ({ user, name }) => ctx.link('person', user, name)],
		['State', ({ online }) => online !== undefined && chip(online ? 'live' : 'off', online ? 'online' : 'offline')],
		['On', ({ devices }) => devices],
		['Last seen', ({ at }) => time(at, true)],
	], ({ user }) => user, { onVisible: (seen) => asker.show(seen.map(({ user }) => user)) });
	const asker = new RowAsker(async (user, signal) => {
		const { online, last_seen_at: at, sessions } = await ask(app, 'presence/users', { user, limit: 20 }, signal);
		const devices = sessions.filter((of) => of.device && of.left_at === null).map(({ device }) => device).join(', ');
		seen(user, at ?? 0, { online, devices });
	});
	const element = section('People registered in the last 24 hours, or seen since', list.element);
	element.hidden = app.provider === 'zego';
	let timer;
	function seen(user, at, more) {
		const one = all.get(user) ?? { user, at: 0 };
		all.set(user, Object.assign(one, more, { at: Math.max(one.at, Math.min(at, now())) }));
		timer ??= setTimeout(() => {
			[timer, element.hidden] = [null, false];
			list.merge([...all.values()].sort((a, b) => b.at - a.at), 'Nobody was seen lately.');
			onSize();
		}, 200);
	}
	const registrations = new Refresher(async (signal) => {
		const { registrations: rows } = await ask(app, 'registrations', { from: Math.floor(now() - 24 * HOUR), limit: 1000 }, signal);
		for (const { user, name, registered_at: at } of rows) seen(user, at, { name });
	}, { every: () => MINUTE });
	function add({ type, user, room, at }) {
		if (user === undefined || type === 'user.erased' || (element.hidden && room)) return;
		seen(user, at);
		asker.touch(user);
		if (type === 'user.registered') registrations.poke();
	}
	return { element, all, add };
}

// A person: where they are, and where they were.

import { Refresher, ask, now } from './api.js';
import { assumed, chip, failed, h, heading, id, none, past, put, readable, section, span, table, time, word } from './dom.js';

const DAY = 864e5;
const SPANS = { '24 hours': DAY, '7 days': 7 * DAY, '30 days': 30 * DAY };
const SHOWN = 100;

export function person(ctx) {
	const { app, id: user } = ctx;
	// RTC registers nobody.
	let isOfRtc = app.provider === 'zego';
	const [called, chips, problem, where, devices, visited, registered] = ['span.name', ...Array(6).fill('div')].map((of) => h(of));
	const fill = (element, label, columns, rows, empty) => {
		// What has not changed keeps its focus.
		const sign = JSON.stringify(rows);
		if (element.sign !== sign) put(element, rows.length ? table(label, columns, rows) : none(empty));
		element.sign = sign;
	};
	const room = ['Room', (of) => ctx.link('room', of.room)];
	const role = ['Role', (of) => word(of.role)];
	const since = ['Since', (of) => [time(of.entered_at), ' ', assumed(of.entered_assumed)]];
	const until = ['Until', (of) => time(of.left_at)];
	const end = ['End', (of) => (of.left_at === null ? chip('live', 'still there') : [word(of.reason), ' ', assumed(of.assumed, of.reason)])];

	const state = new Refresher(async (signal) => {
		const got = await ask(app, 'presence/users', { user, limit: 100 }, signal);
		const is = got.online ? 'online' : 'offline';
		put(problem);
		put(called, got.sessions.filter(({ name }) => name && name !== user).slice(0, 1).map(({ name }) => h('bdi', readable(name))));
		put(chips, h('p.chips', { 'data-as-of': got.as_of }, chip(got.online ? 'live' : 'off', is), chip('off', 'seen ', time(got.last_seen_at, true)), got.checked_at && chip('off', 'checked ', time(got.checked_at, true))));
		fill(where, 'Rooms now', [room, role, since], got.sessions.filter((of) => of.room !== null && of.left_at === null), 'In no room.');
		const on = got.sessions.filter(({ device }) => device);
		fill(devices, 'Devices', [['Device', ({ device }) => device], since, until, end], on, 'No device was reported.');
		if (isOfRtc && on[0]) registration.poke((isOfRtc = false));
		ctx.title(`${readable(user)} is ${is}`);
		ctx.say(`This person is ${is}.`);
	}, { onError: (error) => put(problem, failed(error, 'Nothing is known of them in this app.')) });

	const visits = new Refresher(async (signal) => {
		let [all, next] = [[], null];
		do {
			const got = await ask(app, 'attendance/users', { user, from: Math.floor(now() - window_.length()), limit: 1000, next }, signal);
			all = [...all, ...got.sessions].slice(-SHOWN);
			next = got.next;
		} while (next !== null);
		const lasted = ['For', ({ duration_ms: ms }) => (ms === null ? '–' : span(ms))];
		fill(visited, 'Last visits', [room, since, until, lasted, role, end], all.reverse(), 'No visit in this time.');
	}, { onError: (error) => put(visited, failed(error, 'No visit is known.')) });
	const window_ = past(ctx, SPANS, () => visits.poke());

	const registration = new Refresher(async (signal) => {
		if (isOfRtc) throw { status: 404 };
		const got = await ask(app, 'registrations/users', { user }, signal);
		const fields = {
			Name: got.name && id(got.name), Registered: time(got.registered_at), Source: word(got.source),
			Picture: got.avatar_url && id(got.avatar_url), Extra: got.extra && id(got.extra),
		};
		put(registered, h('dl', Object.entries(fields).map(([name, value]) => value && [h('dt', name), h('dd', value)])));
	}, { every: () => 6e8, onError: (error) => put(registered, failed(error, 'No registration is recorded.')) });

	function event(of) {
		// A room that closes changes people, too.
		if (of.user !== undefined && of.user !== user) return;
		if (of.type === 'user.registered') registration.poke();
		state.poke();
		visits.poke();
	}
	return {
		title: readable(user),
		element: h(
			'div',
			heading(h('span.kind', 'Person '), id(user), ' ', called),
			chips,
			problem,
			h(
				'div.columns',
				h('div', section('Where', where), section('Last visits', window_.element, visited)),
				h('div', section('Devices', devices), section('Registration', registered)),
			),
		),
		event,
	};
}

// What happened, in sentences.

import { assumed, chip, h, none, put, time, word } from './dom.js';

const SHOWN = 60;

// An event as a sentence.
function sentence(ctx, { type, user, name, room, role, device, reason }) {
	const who = user !== undefined && ctx.link('person', user, name);
	const where = room !== undefined && room !== ctx.id && ctx.link('room', room);
	const [what, why] = [where || 'The room', reason && reason !== 'normal' && ` (${word(reason)})`];
	return {
		'presence.entered': [who, ' entered ', where],
		'presence.left': [who, ' left ', where, why],
		'presence.changed': [who, ` is ${word(role)} `, where && ['in ', where]],
		'device.online': [who, ` is online on ${device}`],
		'device.offline': [who, ` is offline on ${device}`, why],
	}[type] ?? [who || what, ` ${type.replace(/.*\./, '')}`];
}

export class Changes {
	constructor(ctx) {
		Object.assign(this, { ctx, all: new Map() });
		const pointerleave = () => this.render();
		this.list = h('ol.changes', { tabindex: 0, 'aria-label': 'Changes, newest first', pointerleave });
		this.element = h('div', this.list, none('Nothing has changed yet.'));
	}

	// Adds a change once, however often it is reported.
	add(event) {
		const { type, user, room, session, device, at } = event;
		this.all.set(JSON.stringify([type, user, room, session, device, at]), { ...event });
		this.timer ??= setTimeout(() => this.render(), 250);
	}

	render() {
		this.timer = null;
		this.all = new Map([...this.all].sort(([, a], [, b]) => b.at - a.at || (a.type < b.type ? -1 : 1)).slice(0, SHOWN));
		// A line that is pointed at or has the focus does not move away.
		if (!this.list.matches(':focus-within, :hover')) put(this.list, [...this.all.values()].map((event) => (event.line ??= this.line(event))));
	}

	line(event) {
		const what = h('span', sentence(this.ctx, event), ' ', assumed(event.assumed, event.reason), event.late && chip('late', 'late'));
		return h('li', what, time(event.at));
	}
}

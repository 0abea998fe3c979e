// What a codec finds in its sandbox besides the language: a silent console, and dates in UTC whatever the machine's
// time zone. Runs once in a new sandbox, before the codec; leaves `__riser` behind, which the gateway calls.
(function (global) {
  'use strict';

  const { parse, stringify } = JSON;
  const { keys, defineProperty } = Object;
  const { toWellFormed } = String.prototype;
  const { apply, construct } = Reflect;

  function hidden(object, name, value) {
    defineProperty(object, name, { value, writable: true, enumerable: false, configurable: true });
  }

  // None of ECMAScript, or nothing for a codec: waiting, clocks, and what other hosts do not have either.
  for (const name of ['Atomics', 'SharedArrayBuffer', 'atob', 'btoa', 'performance', 'queueMicrotask']) {
    delete global[name];
  }

  // Within these the engine does not look at its time. A list so long is a mistake: it would not fit into the memory.
  const longest = 1 << 20;
  const lists = Array.prototype;
  const unwatched = 'concat copyWithin fill flat join reverse shift slice sort splice toReversed toSorted toSpliced unshift '
    + 'with';
  for (const name of unwatched.split(' ')) {
    const native = lists[name];
    hidden(lists, name, {
      [name](...inputs) {
        if (this.length > longest || (name === 'concat' && inputs.some((input) => input && input.length > longest))) {
          throw new RangeError('the list is too long');
        }
        return apply(native, this, inputs);
      },
    }[name]);
  }

  const silent = {};
  const words = 'assert clear count countReset debug dir dirxml error group groupCollapsed groupEnd info log table '
    + 'time timeEnd timeLog trace warn';
  for (const name of words.split(' ')) {
    silent[name] = function () {};
  }
  hidden(global, 'console', silent);

  // Dates: each local method becomes its UTC twin, and a text without a zone is read as UTC.
  const Native = Date;
  const dates = Native.prototype;
  const readText = Native.parse;
  const zone = /(?:\d|\b)(?:GMT|UTC?|Z|[CEMP][DS]T|WES?T|CES?T|EES?T)\b|:\d\d(?:[.,]\d+)?\s*(?:[AP]M)?\s*[+-]\d/i;
  const isoDate = /^\s*[+-]?\d{4,6}(?:-\d\d){0,2}\s*$/;
  const isoTime = /^\s*[+-]?\d{4,6}(?:-\d\d){0,2}T[\d:.,]+\s*$/;

  function parseUtc(value) {
    const text = String(value);
    if (isoDate.test(text) || zone.test(text)) {
      return readText(text);
    }
    return readText(isoTime.test(text) ? text.trim() + 'Z' : text + ' UTC');
  }

  function timeOf(value) {
    if (value instanceof Native) {
      return value.getTime();
    }
    let plain = value;
    if (typeof value === 'object' && value !== null) {
      plain = value.valueOf();
      plain = typeof plain === 'object' ? String(value) : plain;
    }
    return typeof plain === 'string' ? parseUtc(plain) : plain;
  }

  const Utc = function Date(year, month, day, hours, minutes, seconds, milliseconds) {
    if (new.target === undefined) {
      return new Native().toString();
    }
    const count = arguments.length;
    const parts = count === 0 ? [] : [count === 1 ? timeOf(year) : apply(Native.UTC, Native, arguments)];
    return construct(Native, parts, new.target);
  };
  defineProperty(Utc, 'prototype', { value: dates, writable: false });
  hidden(Utc, 'now', Native.now);
  hidden(Utc, 'UTC', Native.UTC);
  hidden(Utc, 'parse', parseUtc);
  hidden(dates, 'constructor', Utc);
  hidden(global, 'Date', Utc);

  for (const name of Object.getOwnPropertyNames(dates)) {
    const local = name.replace('UTC', '');
    if (local !== name && local in dates && local !== 'toString') {
      hidden(dates, local, dates[name]);
    }
  }
  function shown(make) {
    return function () {
      return isNaN(this.getTime()) ? 'Invalid Date' : make(this);
    };
  }
  function twoDigits(number) {
    return number < 10 ? '0' + number : '' + number;
  }
  function dayText(date) {
    const [week, day, month, year] = date.toUTCString().split(' ');
    return week.slice(0, 3) + ' ' + month + ' ' + day + ' ' + year;
  }
  function timeText(date) {
    return date.toUTCString().split(' ')[4] + ' GMT+0000 (Coordinated Universal Time)';
  }
  // As in the United States, which is what most hosts are set to.
  function localDay(date) {
    return date.getUTCMonth() + 1 + '/' + date.getUTCDate() + '/' + date.getUTCFullYear();
  }
  function localTime(date) {
    const hours = date.getUTCHours();
    return (hours % 12 || 12) + ':' + twoDigits(date.getUTCMinutes()) + ':' + twoDigits(date.getUTCSeconds())
      + (hours < 12 ? ' AM' : ' PM');
  }
  hidden(dates, 'toString', shown((date) => dayText(date) + ' ' + timeText(date)));
  hidden(dates, 'toDateString', shown(dayText));
  hidden(dates, 'toTimeString', shown(timeText));
  hidden(dates, 'toLocaleString', shown((date) => localDay(date) + ', ' + localTime(date)));
  hidden(dates, 'toLocaleDateString', shown(localDay));
  hidden(dates, 'toLocaleTimeString', shown(localTime));
  hidden(dates, 'getYear', function () { return this.getUTCFullYear() - 1900; });
  hidden(dates, 'getTimezoneOffset', function () { return isNaN(this.getTime()) ? NaN : 0; });

  function told(error) {
    try {
      return error instanceof Error ? error.name + ': ' + error.message : String(error);
    } catch {
      return 'something that has no text';
    }
  }

  /** The codec: called, it runs the whole file anew and returns its functions. */
  let main;

  // Half a surrogate pair is a text to JavaScript and none to anybody else.
  function written(answer) {
    const text = stringify(answer);
    return text.includes('\\ud')
      ? stringify(answer, (_, value) => (typeof value === 'string' ? apply(toWellFormed, value, []) : value))
      : text;
  }

  /** One call of the codec. What it left in the global object is wiped out again. */
  function turn(call) {
    try {
      return written(call(apply(main, global, [])));
    } catch (error) {
      return stringify({ threw: told(error) });
    } finally {
      for (const name of keys(global)) {
        delete global[name];
      }
    }
  }

  function settled(answer) {
    if (answer !== null && typeof answer === 'object' && typeof answer.then === 'function') {
      throw new TypeError('it returned a promise; a codec must answer at once');
    }
    return answer;
  }

  // As a script calls it: without `this`.
  function called(codec, name, ...inputs) {
    return settled(apply(codec[name], undefined, inputs));
  }

  function decoded(codec, input) {
    if (codec.decodeUplink) {
      return called(codec, 'decodeUplink', input);
    }
    return {
      data: codec.Decoder
        ? called(codec, 'Decoder', input.bytes, input.fPort)
        : called(codec, 'Decode', input.fPort, input.bytes, input.variables),
    };
  }

  function normalized(codec, answer) {
    const failed = Array.isArray(answer.errors) ? answer.errors.length > 0 : answer.errors;
    if (!codec.normalizeUplink || failed || answer.data === undefined || answer.data === null) {
      return undefined;
    }
    try {
      return { answer: called(codec, 'normalizeUplink', { data: parse(stringify(answer.data)) }) };
    } catch (error) {
      return { threw: told(error) };
    }
  }

  const entry = {
    define(codec) {
      main = codec;
    },
    /** Makes functions of the codec members of the global object, until its turn ends. */
    share(functions) {
      for (const name of keys(functions)) {
        if (functions[name] !== undefined && !(name in global)) {
          global[name] = functions[name];
        }
      }
    },
    /** Which functions the codec has. */
    functions() {
      return turn((codec) => ({ answer: keys(codec).filter((name) => codec[name] !== undefined) }));
    },
    decode(input) {
      return turn((codec) => {
        const answer = decoded(codec, parse(input));
        if (answer === null || typeof answer !== 'object') {
          return {};
        }
        return { answer, normalized: normalized(codec, answer) };
      });
    },
    encode(input) {
      return turn((codec) => ({ answer: called(codec, 'encodeDownlink', parse(input)) }));
    },
  };
  defineProperty(global, '__riser', { value: Object.freeze(entry) });
})(globalThis);

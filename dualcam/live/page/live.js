// The live view: the server's maps over the camera picture, levels, sliders, takes.

import { MapPainter, Marks, History } from './drawing.js';
import { TakeVideo } from './takes.js';

const $ = id => document.getElementById(id);
const about = await (await fetch('/about.json')).json();
const painter = new MapPainter($('map'));
const marks = new Marks($('marks'));
const history = new History($('history'));
const picture = $('picture');
const takeVideo = new TakeVideo(picture);
const latencies = [];
const times = [];

// For tests and for debugging in the console.
const shown = { about, header: null, level: null, latency: null, count: 0, answers: [] };
window.dualcam = shown;

let socket = null;
let sent = {};  // requested values; the sliders stay where they were set
let recording = null;

$('source').textContent = `${about.source}, ${about.channels} channels at ${about.rate_hz} Hz, ${about.array}`;
const slopes = about.view_deg.map(angle => Math.tan(angle * Math.PI / 360));
$('stage').style.setProperty('--shape', slopes[0] / slopes[1]);
if (about.mirrored || about.upside_down) {
  const across = about.mirrored !== about.upside_down ? -1 : 1;
  picture.style.transform = `scale(${across}, ${about.upside_down ? -1 : 1})`;
}
for (const method of about.methods) $('method').append(new Option(method, method));
$('takes_box').disabled = !about.records;
if (!about.records) $('record_state').textContent = 'start with --out=DIR to record takes';

// The frequency and distance sliders are logarithmic.
const lowest = 50, highest = 0.49 * about.rate_hz;
const toHz = share => lowest * (highest / lowest) ** share;
const fromHz = hz => Math.log(hz / lowest) / Math.log(highest / lowest);
const toFocus = share => share >= 1 ? 0 : 0.2 * 100 ** share;
const fromFocus = m => m > 0 ? Math.min(0.99, Math.log(m / 0.2) / Math.log(100)) : 1;
const sliders = {
  low: ['low_hz', toHz, fromHz, hz => Math.round(hz)],
  high: ['high_hz', toHz, fromHz, hz => Math.round(hz)],
  range: ['dynamic_range_db', Number, Number, db => db],
  focus: ['focus_m', toFocus, fromFocus, m => m > 0 ? `at ${m.toFixed(1)} m` : 'far away'],
};
for (const [id, [name, toValue, , words]] of Object.entries(sliders)) {
  $(id).addEventListener('input', () => {
    const value = toValue(Number($(id).value));
    $(`${id}_value`).textContent = words(value);
    ask('change', { [name]: value });
    sent[name] = Date.now();
  });
}
$('method').addEventListener('change', () => {
  ask('change', { method: $('method').value });
  sent.method = Date.now();
});

function ask(kind, values = {}) {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ ask: kind, values }));
}

function connect() {
  socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/maps`);
  socket.binaryType = 'arraybuffer';
  socket.onmessage = event => {
    if (typeof event.data === 'string') answered(JSON.parse(event.data));
    else received(event.data);
  };
  socket.onclose = () => {
    say('connection to the server lost; reconnecting', true);
    setTimeout(connect, 1000);
  };
}

function received(data) {
  const size = new DataView(data).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, size)));
  showState(header);
  if (!header.rows) return;
  const level = Float32Array.from(new Int16Array(data, 4 + size), one => one / 100);
  requestAnimationFrame(() => draw(header, level));
}

function draw(header, level) {
  const top = history.add(header);
  painter.paint(level, header.rows, header.cols, top, header.dynamic_range_db);
  marks.draw(header.peaks);
  history.draw();
  listPeaks(header.peaks);
  const now = Date.now();
  latencies.push(now - header.heard_ms);
  if (latencies.length > 100) latencies.shift();
  times.push(now);
  while (times[0] < now - 3000) times.shift();
  shown.latency = latencies.toSorted((a, b) => a - b)[latencies.length >> 1];
  shown.header = header;
  shown.level = level;
  shown.count += 1;
  $('latency').textContent = Math.round(shown.latency);
  $('rate').textContent = times.length > 1
    ? (1000 * (times.length - 1) / (now - times[0])).toFixed(1) : '-';
  $('top').textContent = header.top_db.toFixed(1);
  $('gain').textContent = header.gain_db.toFixed(1);
  followVideo(header);
}

function showState(header) {
  say(header.state || 'live', Boolean(header.state));
  $('dropped').textContent = header.dropped;
  $('late').textContent = header.late;
  $('lost').textContent = header.lost;
  $('skipped').textContent = header.skipped;
  for (const [id, [name, , toShare, words]] of Object.entries(sliders)) {
    if (document.activeElement === $(id) || Date.now() - (sent[name] ?? 0) < 2000) continue;
    $(id).value = toShare(header[name]);
    $(`${id}_value`).textContent = words(header[name]);
  }
  if (Date.now() - (sent.method ?? 0) > 2000) $('method').value = header.method;
  if (header.recording.name) {
    const gaps = header.recording.gaps ? `, ${header.recording.gaps} gaps` : '';
    $('record_state').textContent =
      `${header.recording.name}: ${header.recording.seconds.toFixed(1)} s${gaps}`;
  }
}

function say(text, bad) {
  $('state').textContent = text;
  $('state').className = bad ? 'bad' : '';
}

function listPeaks(peaks) {
  $('peaks').replaceChildren(...peaks.map(peak => {
    const row = document.createElement('tr');
    const what = peak.class ? `${peak.class} ${Math.round(100 * peak.probability)} %` : '';
    for (const cell of [
      peak.source, peak.azimuth_deg.toFixed(0), peak.elevation_deg.toFixed(0),
      peak.level_db.toFixed(0), what,
    ]) row.insertCell().textContent = cell;
    return row;
  }));
}

// A replayed video is synchronised with its sound; a camera needs no such thing.
function followVideo(header) {
  if (!about.video || !about.duration_s || picture.srcObject) return;
  const wanted = header.time_s % about.duration_s - about.video_offset_s;
  const lasts = wanted >= 0 && wanted <= picture.duration;
  picture.style.visibility = picture.readyState < 1 || lasts ? 'visible' : 'hidden';
  if (picture.readyState < 1 || !lasts) return picture.pause();
  if (picture.paused) picture.play().catch(() => {});
  if (Math.abs(picture.currentTime - wanted) > 0.25) picture.currentTime = wanted;
}

async function openCamera() {
  if (!navigator.mediaDevices) {
    say('the browser allows no camera for this address; use 127.0.0.1 or https', true);
    return;
  }
  try {
    picture.srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
    await picture.play();
    $('camera').classList.add('on');
  } catch (error) {
    say(`no camera: ${error.message}`, true);
  }
}

$('camera').addEventListener('click', () => {
  if (picture.srcObject) {
    picture.srcObject.getTracks().forEach(track => track.stop());
    picture.srcObject = null;
    $('camera').classList.remove('on');
  } else openCamera();
});

$('record').addEventListener('click', () => {
  if (recording) ask('stop');
  else ask('record', {
    class: $('take_class').value, subject: $('take_subject').value, place: $('take_place').value,
  });
});

async function answered(answer) {
  shown.answers.push(answer);
  if (shown.answers.length > 100) shown.answers.shift();
  if (answer.answer === 'error') {
    $('record_state').textContent = answer.message;
  } else if (answer.answer === 'recording') {
    recording = answer.take;
    takeVideo.start();
    $('record').textContent = 'stop';
    $('record').classList.add('on');
  } else if (answer.answer === 'recorded') {
    $('record').textContent = 'record';
    $('record').classList.remove('on');
    recording = null;
    $('record_state').textContent = `${answer.take ?? 'nothing'} recorded`;
    const problem = await takeVideo.finish(answer.take);
    if (problem) $('record_state').textContent = `${answer.take}: no video, ${problem}`;
    await listTakes();
    shown.listed = answer.take;
  }
}

async function listTakes() {
  const rows = await (await fetch('/takes')).json();
  $('takes').replaceChildren(...rows.map(row => {
    const item = document.createElement('li');
    item.textContent = `${row.recording}${row.video ? ' + video' : ''}: ${row.class}`
      + [row.subject, row.place].filter(Boolean).map(word => `, ${word}`).join('');
    return item;
  }));
}

if (about.video) {
  picture.src = '/video';
  picture.load();
}
if (about.records) await listTakes();
connect();

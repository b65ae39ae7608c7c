// A student without an array: microphone sound in, class probabilities out, once per second.

import { Probabilities } from './probabilities.js';

const HOP_S = 1;
const $ = id => document.getElementById(id);
const about = await (await fetch('/student.json')).json();
const bars = new Probabilities($('bars'), about.classes, about.threshold);

// For tests and for debugging in the console.
const shown = { about, count: 0, last: null, problem: null, ready: false, rateHz: null };
window.dualcam = shown;

let listening = null;

$('source').textContent = `${about.name}: ${about.network}, ${about.classes.length} classes, `
  + `windows of ${about.seconds} s at ${about.sample_rate_hz} Hz`;
$('note').textContent = 'The sound stays in this browser. One window is classified per second'
  + (about.threshold === null ? '; its probabilities add up to 1.'
    : `; events with a probability of at least ${Math.round(100 * about.threshold)} % are reported.`);
bars.draw();
window.addEventListener('resize', () => bars.draw());
say('ready to listen');
$('listen').disabled = false;
$('listen').addEventListener('click', () => {
  if (listening) stop();
  else start();
});

async function start() {
  $('listen').disabled = true;
  try {
    if (!navigator.mediaDevices) {
      throw new Error('the browser allows no microphone for this address; use 127.0.0.1 or https');
    }
    say('requesting the microphone');
    // Unprocessed: students were not trained on what phones do to voices.
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    });
    listening = new Listening(stream);
    await listening.begin();
    $('listen').textContent = 'stop';
    $('listen').classList.add('on');
  } catch (error) {
    stop();
    fail(error.name === 'NotAllowedError' ? 'access to the microphone was denied' : error.message);
  }
  $('listen').disabled = false;
}

function stop() {
  listening?.end();
  listening = null;
  $('listen').textContent = 'listen';
  $('listen').classList.remove('on');
  say('ready to listen');
}

class Listening {
  constructor(stream) {
    this.stream = stream;
    this.context = new AudioContext();
    this.worker = new Worker('/page/student_worker.js');
    this.busy = true;
    this.lost = 0;  // samples
    this.count = 0;  // samples received so far
    this.asked = 0;
  }

  async begin() {
    say('loading the student');
    const rateHz = this.context.sampleRate;
    shown.rateHz = rateHz;
    const ready = new Promise((resolve, reject) => {
      this.worker.onmessage = ({ data }) => {
        if (data.problem) reject(new Error(data.problem));
        else resolve(data);
      };
      this.worker.onerror = event => reject(new Error(event.message ?? 'the worker failed'));
    });
    this.worker.postMessage({ about, rateHz });
    const { needed } = await ready;
    this.ring = new Float32Array(needed);
    this.worker.onmessage = ({ data }) => this.answered(data);
    await this.context.audioWorklet.addModule('/page/capture.js');
    await this.context.resume();
    const capture = new AudioWorkletNode(this.context, 'capture', { numberOfOutputs: 0 });
    capture.port.onmessage = ({ data }) => this.heard(data);
    this.context.createMediaStreamSource(this.stream).connect(capture);
    const [track] = this.stream.getAudioTracks();
    track.onended = () => {
      if (listening !== this) return;
      stop();
      fail('the microphone was disconnected');
    };
    this.busy = false;
    shown.ready = true;
    say(`listening to ${track.label || 'the microphone'}`);
  }

  heard(block) {
    const size = this.ring.length;
    for (const one of block) this.ring[this.count++ % size] = one;
    let energy = 0;
    for (const one of block) energy += one * one;
    $('level').textContent = energy
      ? (10 * Math.log10(energy / block.length)).toFixed(0) : '-';
    if (this.count < size || this.count - this.asked < HOP_S * this.context.sampleRate) return;
    if (this.busy) {  // one prediction at a time; sound that it is too slow for is lost
      this.lost += block.length;
      $('lost').textContent = (this.lost / this.context.sampleRate).toFixed(1);
      return;
    }
    this.busy = true;
    this.asked = this.count;
    const start = this.count % size, samples = new Float32Array(size);
    samples.set(this.ring.subarray(start));
    samples.set(this.ring.subarray(0, start), size - start);
    this.worker.postMessage({ samples, at: this.count / this.context.sampleRate },
      [samples.buffer]);
  }

  answered(data) {
    this.busy = false;
    if (data.problem) {
      stop();
      fail(data.problem);
      return;
    }
    bars.add(data.probabilities);
    shown.count += 1;
    shown.last = data;
    $('count').textContent = shown.count;
    $('took').textContent = Math.round(data.tookMs);
    if (!data.probabilities) say('silence: the microphone delivers no sound', true);
    else say('listening');
  }

  end() {
    this.stream.getTracks().forEach(track => track.stop());
    this.worker.terminate();
    this.context.close();
  }
}

function say(text, bad = false) {
  $('state').textContent = text;
  $('state').className = bad ? 'bad' : '';
}

function fail(message) {
  shown.problem = message;
  say(message, true);
}

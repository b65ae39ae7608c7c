// In its own thread: resampling, then the student, run by LiteRT.js.
//
// Messages in: {about, rateHz}, once; then {samples, at}, at the microphone's rate. Messages out:
// {ready}, {at, waveform, probabilities, tookMs}, with probabilities null for silence, or {problem}.

const LITERT = '/page/litert';
let about, resampler, model, Tensor;

self.onmessage = async ({ data }) => {
  try {
    if (data.about) await load(data);
    else await answer(data);
  } catch (error) {
    self.postMessage({ problem: `${error?.message ?? error}` });
  }
};

async function load(data) {
  about = data.about;
  // A classic worker: LiteRT.js loads its WebAssembly's script by importScripts.
  self.Module = {
    locateFile: name => `${LITERT}/${name}`,
    // The only way to redirect its log.
    printErr: line => (/^(ERROR|FATAL)/.test(line) ? console.error : console.debug)(line),
  };
  const litert = await import(`${LITERT}/index.js`);
  const { Resampler } = await import('/page/resampling.js');
  Tensor = litert.Tensor;
  resampler = new Resampler(data.rateHz, about.sample_rate_hz);
  await litert.loadLiteRt(`${LITERT}/litert_wasm_compat_internal.js`);
  const file = new Uint8Array(await (await fetch('/student.tflite')).arrayBuffer());
  model = await litert.loadAndCompile(file, { accelerator: 'wasm' });
  await ask(new Float32Array(about.samples).fill(1));  // the first call initialises
  self.postMessage({ ready: true, needed: resampler.needed(about.samples) });
}

async function answer({ samples, at }) {
  const began = performance.now();
  if (samples.every(one => one === samples[0])) {
    self.postMessage({ at, waveform: null, probabilities: null, tookMs: 0 });
    return;
  }
  const waveform = resampler.resample(samples, about.samples);
  const probabilities = await ask(waveform);
  self.postMessage({ at, waveform, probabilities, tookMs: performance.now() - began });
}

async function ask(waveform) {
  const input = new Tensor(waveform, [1, about.samples]);
  try {
    const outputs = await model.run('window', { waveform: input });
    const probabilities = Array.from(await outputs.probabilities.data());
    Object.values(outputs).forEach(one => one.delete());
    return probabilities;
  } finally {
    input.delete();
  }
}

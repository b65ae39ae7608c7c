// Resampling with a windowed sinc, computed once for each position of a new sample between the
// original ones.

const CROSSINGS = 64;  // zero crossings of the sinc on either side
const BETA = 10;  // of the Kaiser window: aliases are 100 dB down
const ROLLOFF = 0.945;  // of the lower Nyquist frequency

export class Resampler {
  constructor(fromHz, toHz) {
    const divisor = gcd(fromHz, toHz);
    this.fromHz = fromHz;
    this.toHz = toHz;
    this.up = toHz / divisor;
    this.down = fromHz / divisor;
    const cutoff = ROLLOFF * Math.min(1, toHz / fromHz);
    // Original samples needed on either side of a new one.
    this.margin = fromHz === toHz ? 0 : Math.ceil(CROSSINGS / cutoff) + 1;
    this.filters = fromHz === toHz ? [] : Array.from({ length: this.up }, (_, phase) => {
      const filter = new Float32Array(2 * this.margin);
      for (let i = 0; i < filter.length; i++) {
        const away = i - this.margin + 1 - phase / this.up;
        filter[i] = cutoff * sinc(cutoff * away) * kaiser(away / this.margin);
      }
      const sum = filter.reduce((total, one) => total + one, 0);
      return filter.map(one => one / sum);  // keeps constants unchanged
    });
  }

  // Number of original samples needed for `count` new ones, margins included.
  needed(count) {
    return this.fromHz === this.toHz
      ? count : Math.floor((count - 1) * this.down / this.up) + 2 * this.margin;
  }

  // `count` new samples; the first one is at sample number margin - 1 of the original.
  resample(samples, count) {
    if (this.fromHz === this.toHz) return samples.slice(0, count);
    const made = new Float32Array(count);
    for (let number = 0; number < count; number++) {
      const place = number * this.down, first = Math.floor(place / this.up);
      const filter = this.filters[place % this.up];
      let sum = 0;
      for (let i = 0; i < filter.length; i++) sum += filter[i] * samples[first + i];
      made[number] = sum;
    }
    return made;
  }
}

function gcd(one, other) {
  return other ? gcd(other, one % other) : one;
}

function sinc(x) {
  return x ? Math.sin(Math.PI * x) / (Math.PI * x) : 1;
}

function kaiser(x) {
  return Math.abs(x) < 1 ? bessel(BETA * Math.sqrt(1 - x * x)) / bessel(BETA) : 0;
}

// Modified Bessel function of the first kind, order 0.
function bessel(x) {
  let sum = 1, term = 1;
  for (let i = 1; term > 1e-12 * sum; i++) {
    term *= (x / 2 / i) ** 2;
    sum += term;
  }
  return sum;
}

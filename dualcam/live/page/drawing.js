// Drawing: the map, markers at its peaks, levels over time.

const OPAQUE = 0.7;
const MEMORY_S = 60;
const COLOURS = ['#ffffff', '#ffd400', '#00e5ff', '#ff7bff', '#8dff5a', '#ffa04d'];
export const colourOf = source => COLOURS[(source - 1) % COLOURS.length];

// From blue through green and yellow to red, interpolated linearly between control points.
const POINTS = [
  [0, 48, 18, 59], [0.15, 66, 104, 233], [0.35, 30, 205, 213], [0.5, 80, 248, 121],
  [0.65, 196, 238, 50], [0.8, 252, 160, 48], [0.92, 220, 60, 8], [1, 122, 4, 3],
];
const PALETTE = Uint8ClampedArray.from({ length: 1024 }, (_, place) => {
  const share = (place >> 2) / 255, channel = place & 3;
  if (channel === 3) return 255 * OPAQUE * share ** 1.5;
  const after = Math.max(1, POINTS.findIndex(point => point[0] >= share));
  const [from, to] = [POINTS[after - 1], POINTS[after]];
  const part = (share - from[0]) / (to[0] - from[0]);
  return from[channel + 1] + part * (to[channel + 1] - from[channel + 1]);
});

// The map is painted with one pixel per direction and scaled up by the browser.
export class MapPainter {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d');
  }

  paint(level, rows, cols, top, range) {
    if (this.canvas.width !== cols || this.canvas.height !== rows) {
      this.canvas.width = cols;
      this.canvas.height = rows;
      this.image = this.context.createImageData(cols, rows);
    }
    const { data } = this.image;
    for (let i = 0; i < level.length; i++) {
      const share = Math.min(1, Math.max(0, 1 + (level[i] - top) / range));
      const place = 4 * Math.round(255 * share);
      for (let channel = 0; channel < 4; channel++) data[4 * i + channel] = PALETTE[place + channel];
    }
    this.context.putImageData(this.image, 0, 0);
  }
}

export class Marks {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d');
  }

  draw(peaks) {
    const { canvas, context } = this;
    const box = canvas.getBoundingClientRect();
    if (canvas.width !== Math.round(box.width)) canvas.width = Math.round(box.width);
    if (canvas.height !== Math.round(box.height)) canvas.height = Math.round(box.height);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.font = '600 16px system-ui, sans-serif';
    context.lineWidth = 2;
    for (const peak of peaks) {
      const x = peak.x * canvas.width, y = peak.y * canvas.height, left = peak.x > 0.75;
      context.strokeStyle = context.fillStyle = colourOf(peak.source);
      context.beginPath();
      context.arc(x, y, 9, 0, 2 * Math.PI);
      context.stroke();
      const what = peak.class ? `${peak.class} ${Math.round(100 * peak.probability)} %` : '';
      context.textAlign = left ? 'right' : 'left';
      [`${peak.source}  ${peak.level_db.toFixed(0)} dB`, what].forEach((line, number) => {
        const place = [line, x + (left ? -14 : 14), y + 5 + 19 * number];
        context.save();
        context.strokeStyle = 'black';
        context.lineWidth = 4;
        context.strokeText(...place);
        context.restore();
        context.fillText(...place);
      });
    }
  }
}

// Levels of the last minute; older ones are dropped.
export class History {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d');
    this.points = [];
  }

  // The level shown at full brightness: this map's maximum, or that of a typical map if it is quieter.
  add(header) {
    const last = this.points.at(-1);
    if (last && header.time_s < last.time) this.points = [];
    this.points.push({ time: header.time_s, top: header.top_db, peaks: header.peaks });
    while (this.points[0].time < header.time_s - MEMORY_S) this.points.shift();
    const recent = this.points.slice(-60).map(point => point.top).toSorted((a, b) => a - b);
    return Math.max(header.top_db, recent[recent.length >> 1]);
  }

  draw() {
    const { canvas, context, points } = this;
    const width = Math.round(canvas.getBoundingClientRect().width);
    if (canvas.width !== width) canvas.width = width;
    context.clearRect(0, 0, width, canvas.height);
    const high = 10 * Math.ceil((Math.max(...points.map(point => point.top)) + 1) / 10);
    const low = high - 60, end = points.at(-1).time;
    const x = time => width * (1 - (end - time) / MEMORY_S);
    const y = level => canvas.height * Math.min(1, (high - level) / (high - low));
    context.font = '11px system-ui, sans-serif';
    context.fillStyle = context.strokeStyle = '#4a5561';
    context.lineWidth = 1;
    for (let level = high; level > low; level -= 20) {
      context.fillRect(0, y(level), width, 1);
      context.fillText(`${level} dB`, 4, y(level) + 12);
    }
    context.strokeStyle = '#9fb0c0';
    context.beginPath();
    points.forEach((point, number) => context[number ? 'lineTo' : 'moveTo'](x(point.time), y(point.top)));
    context.stroke();
    for (const point of points) {
      for (const peak of point.peaks) {
        context.fillStyle = colourOf(peak.source);
        context.fillRect(x(point.time) - 1, y(peak.level_db) - 1, 3, 3);
      }
    }
  }
}

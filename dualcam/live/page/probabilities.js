// Class probabilities over time: one row per class, one bar per prediction, the newest on the right.

const KEPT = 60, ROW = 34, NAMES = 220;
const COLOURS = ['#66d9ff', '#ffd400', '#8dff5a', '#ff7bff', '#ffa04d', '#c0a0ff'];

export class Probabilities {
  constructor(canvas, classes, threshold, mostRows = 14) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d');
    this.classes = classes;
    this.threshold = threshold;
    this.rows = Math.min(mostRows, classes.length);
    this.answers = [];
    canvas.style.height = `${ROW * this.rows}px`;
  }

  // Probabilities of the classes; null for silence.
  add(probabilities) {
    this.answers.push(probabilities);
    if (this.answers.length > KEPT) this.answers.shift();
    this.draw();
  }

  // Classes in their own order, or the likeliest ones if there are more classes than rows.
  shown() {
    const numbers = this.classes.map((_, number) => number);
    if (this.rows === this.classes.length) return numbers;
    const most = numbers.map(
      number => Math.max(0, ...this.answers.map(answer => answer?.[number] ?? 0)));
    return numbers.toSorted((a, b) => most[b] - most[a]).slice(0, this.rows);
  }

  draw() {
    const { canvas, context, answers } = this;
    const box = canvas.getBoundingClientRect();
    if (canvas.width !== Math.round(box.width)) canvas.width = Math.round(box.width);
    if (canvas.height !== Math.round(box.height)) canvas.height = Math.round(box.height);
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.textBaseline = 'middle';
    const last = answers.at(-1);
    const likeliest = last ? last.indexOf(Math.max(...last)) : -1;
    const width = (canvas.width - NAMES) / KEPT;
    this.shown().forEach((number, row) => {
      const bottom = ROW * (row + 1) - 3, height = ROW - 6;
      const reported = last
        && (this.threshold === null ? number === likeliest : last[number] >= this.threshold);
      context.font = `${reported ? 600 : 400} 15px system-ui, sans-serif`;
      context.fillStyle = reported ? '#ffffff' : '#9fb0c0';
      context.textAlign = 'left';
      context.fillText(this.classes[number], 4, bottom - height / 2, NAMES - 70);
      context.textAlign = 'right';
      if (last) context.fillText(`${Math.round(100 * last[number])} %`, NAMES - 10, bottom - height / 2);
      context.fillStyle = '#0d0f12';
      context.fillRect(NAMES, bottom - height, canvas.width - NAMES, height);
      context.fillStyle = COLOURS[number % COLOURS.length];
      answers.forEach((answer, place) => {
        if (!answer) return;
        const bar = height * answer[number];
        const x = NAMES + width * (KEPT - answers.length + place);
        context.fillRect(x, bottom - bar, Math.max(1, width - 1), bar);
      });
    });
  }
}

// The video of a take: the picture under the map, from a camera or a replayed file.

const KINDS = ['video/webm;codecs=vp8', 'video/webm', 'video/mp4'];

export class TakeVideo {
  constructor(picture) {
    this.picture = picture;
    this.recorder = null;
  }

  start() {
    const stream = this.picture.srcObject
      ?? (this.picture.readyState > 1 ? this.picture.captureStream?.() : null);
    this.recorder = null;
    const kind = KINDS.find(one => window.MediaRecorder?.isTypeSupported(one));
    if (!stream?.getVideoTracks().length || !kind) return;
    const pictures = new MediaStream(stream.getVideoTracks());
    this.recorder = new MediaRecorder(pictures, { mimeType: kind });
    this.parts = [];
    this.began = Date.now();
    this.recorder.onstart = () => { this.began = Date.now(); };
    this.recorder.ondataavailable = event => { if (event.data.size) this.parts.push(event.data); };
    this.recorder.start(1000);
  }

  // Sends the video of a take; returns what went wrong, if anything.
  async finish(take) {
    const { recorder } = this;
    this.recorder = null;
    if (!recorder) return '';
    const stopped = new Promise(resolve => { recorder.onstop = resolve; });
    if (recorder.state !== 'inactive') {
      recorder.stop();
      await stopped;
    }
    if (!take) return '';
    if (!this.parts.length) return 'the browser recorded none';
    const body = new Blob(this.parts, { type: recorder.mimeType });
    const answer = await fetch(`/takes/${take}/video?began_ms=${this.began}`, {
      method: 'POST', body, headers: { 'Content-Type': recorder.mimeType },
    });
    return answer.ok ? '' : answer.text();
  }
}

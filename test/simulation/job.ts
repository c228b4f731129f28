/** A child process that plays pieces for its parent. */
import { answerPieces } from "./jobs.ts";
import { playPiece } from "./play.ts";

answerPieces(playPiece);

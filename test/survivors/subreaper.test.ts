import { nobodySurvivesOn } from "./matrix.ts";

nobodySurvivesOn("subreaper");

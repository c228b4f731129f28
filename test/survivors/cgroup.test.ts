import { nobodySurvivesOn } from "./matrix.ts";

nobodySurvivesOn("cgroup");

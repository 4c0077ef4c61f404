#!/usr/bin/env node
import { pluginMain } from "../dist/index.js";

await pluginMain();

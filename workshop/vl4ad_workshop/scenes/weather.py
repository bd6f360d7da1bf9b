# Copyright 2026 vl4ad_ros contributors
# SPDX-License-Identifier: Apache-2.0
"""Choose the light and weather of a scene; turn clean colours into a camera's picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vl4ad_workshop.scenes.pen import hsv, noise_patch


@dataclass(frozen=True)
class Weather:
    """Sky colours (zenith, horizon), clouds 0..1, sight in metres, sun slope, and the picture."""

    name: str
    zenith: np.ndarray
    horizon: np.ndarray
    clouds: float
    sight: float
    sun: float
    gain: np.ndarray
    contrast: float
    blur: float
    noise: float
    rain: float


def draw_weather(rng: np.random.Generator, name: str = '') -> Weather:
    """Return the named weather ('clear', 'overcast', 'haze', 'rain', 'dusk') or a random one."""
    name = name or str(rng.choice(['clear', 'overcast', 'haze', 'rain', 'dusk'],
                                  p=[.42, .25, .12, .1, .11]))
    zenith = hsv(rng, (.55, .62), (.35, .65), (.6, .92))
    horizon = hsv(rng, (.5, .62), (0, .2), (.82, 1))
    clouds, sight, sun, contrast = rng.uniform(0, .8), rng.uniform(150, 500), 0.0, 1.0
    tint = 1 + rng.uniform(-.05, .05, 3)
    light = rng.uniform(.85, 1.15)
    if name == 'clear':
        sun = rng.choice([-1, 1]) * rng.uniform(.3, 1.3)
        contrast = rng.uniform(.95, 1.15)
    elif name == 'dusk':
        zenith = hsv(rng, (.58, .68), (.3, .6), (.3, .55))
        horizon = hsv(rng, (.03, .11), (.25, .6), (.75, .95))
        light = rng.uniform(.5, .75)
        tint = tint * (1.08, .98, .92)
    else:
        grey = rng.uniform(.62, .88)
        zenith, horizon = (hsv(rng, (.55, .62), (0, .12), (grey - .1, grey)),
                           hsv(rng, (.55, .62), (0, .06), (grey, grey + .1)))
        contrast = rng.uniform(.82, 1.0)
        sight = {'overcast': rng.uniform(120, 300), 'haze': rng.uniform(22, 70),
                 'rain': rng.uniform(45, 110)}[name]
        if name == 'rain':
            light *= .85
    return Weather(name, zenith, horizon, clouds, sight, sun, light * tint, contrast,
                   rng.uniform(0, .7) if rng.random() < .5 else 0.0, rng.uniform(.5, 5.0),
                   rng.uniform(.15, .4) if name == 'rain' else 0.0)


def develop(image: np.ndarray, weather: Weather, rng: np.random.Generator) -> np.ndarray:
    """Return the camera's uint8 picture of a float32 one: exposure, rain, blur and noise."""
    h, w = image.shape[:2]
    image = (image - 118) * weather.contrast + 118
    image *= np.float32(weather.gain)
    if weather.rain:
        streaks = (rng.random((h // 2 + 1, w // 2 + 1), np.float32) > .985).astype(np.float32)
        streaks = cv2.resize(cv2.blur(streaks, (1, 9)), (w, h), interpolation=cv2.INTER_LINEAR)
        image += (np.minimum(streaks * 5, 1) * weather.rain * 60)[..., None]
    if weather.blur:
        image = cv2.GaussianBlur(image, (0, 0), max(.3, weather.blur))
    grain = noise_patch(rng, h, w, 64) * weather.noise
    image = image + grain[..., None] * np.float32([1, .9, 1.1])
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)

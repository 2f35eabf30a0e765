"""The finger on the oximeter: Beer-Lambert absorption by arterial and venous blood, by published extinction.

Light that comes back at a wavelength is gain * LED current * exp(-path * (blood absorption) - skin). The arterial
volume pulses, and the venous one with it if told; breathing moves the venous volume a little. Melanin in the
epidermis does not pulse. Nothing here knows how readings are made.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from simulators.world.patient import Patient
from simulators.world.pulse import Shape, finger_volume

# Molar extinction of haemoglobin in 1/(cm mol/l): nm -> (oxygenated, deoxygenated).
# S. Prahl's compilation of Moaveni (1970) and Schmitt, omlc.org/spectra/hemoglobin/moaveni.html.
EXTINCTION = {
    640: (440.0, 3640.0),
    650: (380.0, 3420.0),
    660: (320.0, 3200.0),
    670: (320.0, 3080.0),
    680: (320.0, 2960.0),
    860: (1080.0, 840.0),
    870: (1120.0, 840.0),
    880: (1160.0, 840.0),
    890: (1180.0, 860.0),
    900: (1200.0, 880.0),
}
RED_NM, IR_NM = 660.0, 880.0
# Red light scatters more and travels further in tissue than infrared does.
RED_PATH = 1.4
# Melanosomes by volume of the epidermis. A finger's gain is that of the lightest of these.
LIGHT_SKIN, BROWN_SKIN, DARK_SKIN = 0.04, 0.15, 0.40
EPIDERMIS_CM = 2 * 0.006  # 60 um, in and out again
VENOUS_DROP = 0.25  # venous saturation lies this fraction below arterial
VENOUS_SHARE = 3.0  # venous volume, and below the resting arterial volume, in arterial pulses
ARTERIAL_REST = 8.0
BREATH_SHARE = 0.08  # venous volume moved by a breath, in arterial pulses
LOOKS_HZ = 20
LAMP_HZ = 101.4
MOVE_SHARE, MOVE_STEP = 0.03, 0.25
TAP_SIZE = 6.0  # arterial pulses
MOTION_FULL = 6.0  # the same, for a patient who moves as much as there is
PERFUSION_AT = 0.97  # saturation at which `perfusion_pct` is the infrared pulse


def extinction(nm: float) -> tuple[float, float]:
    """Oxygenated and deoxygenated extinction, interpolated; raises KeyError outside the two LED bands."""
    low = math.floor(nm / 10) * 10
    share = (nm - low) / 10
    if share == 0:
        return EXTINCTION[low]
    (oxy_low, deoxy_low), (oxy_high, deoxy_high) = EXTINCTION[low], EXTINCTION[low + 10]
    return oxy_low + share * (oxy_high - oxy_low), deoxy_low + share * (deoxy_high - deoxy_low)


def melanin(nm: float) -> float:
    """Absorption inside a melanosome in 1/cm: the fit of S. L. Jacques, Skin Optics, Oregon Medical Laser Center News,
    January 1998, omlc.org/news/jan98/skinoptics.html."""
    return float(6.6e11 * nm**-3.33)


class Finger:
    """Photodiode currents for one board. `seed` fixes the board's LED wavelengths, gains and noise.

    `occlusion(t)` is the share of the arterial pulse that passes a cuff on the same arm (1 without one).
    """

    def __init__(self, patient: Patient, seed: int, shape: Shape = finger_volume) -> None:
        chance = random.Random(seed * 7919 + 1)
        self.patient = patient
        self.shape = shape
        red_nm, ir_nm = RED_NM + chance.uniform(-4, 4), IR_NM + chance.uniform(-8, 8)
        self._red, self._red_melanin = extinction(red_nm), melanin(red_nm) * EPIDERMIS_CM
        self._ir, self._ir_melanin = extinction(ir_nm), melanin(ir_nm) * EPIDERMIS_CM
        self._red_path = RED_PATH * chance.uniform(0.97, 1.03)
        self._red_na_per_ma = 190.0 * chance.uniform(0.85, 1.15)
        self._ir_na_per_ma = 230.0 * chance.uniform(0.85, 1.15)
        self._noise = random.Random(seed * 7919 + 2)
        self.noise_na = 0.12
        self.skin = LIGHT_SKIN
        self.venous_pulse = 0.0  # venous volume that moves with the heart beat, in arterial pulses
        self.motion = 0.0  # of the hand, in arterial pulses
        self.tapping_hz = 0.0
        self.flicker_na = 0.0  # of a dimmed lamp, what the chip's canceller leaves of it
        self.leds_swapped = False  # as on some clone boards
        self._moves = random.Random(seed * 7919 + 5)
        self._moved = [0.0, 0.0]
        self._look = -1
        self._moving = 0.0
        self._blood: tuple[float, float, float, float, float, float] | None = None
        self.occlusion: Callable[[float], float] = lambda t: 1.0

    def reseed(self, seed: int) -> None:
        """Other noise and other movements on the same board."""
        self._noise = random.Random(seed * 7919 + 2)
        self._moves = random.Random(seed * 7919 + 5)

    def light(self, t: float, red_ma: float, ir_ma: float) -> tuple[float, float]:
        """Photodiode current in nA for the red and the infrared pulse at world time t."""
        if self.leds_swapped:
            ir_na, red_na = self._light(t, ir_ma, red_ma)
        else:
            red_na, ir_na = self._light(t, red_ma, ir_ma)
        if self.flicker_na:
            # A hundred samples a second see the difference of the rates: 50 Hz mains drift by too slowly to matter, a
            # dimmed LED lamp may come as fast as a pulse.
            light_na = self.flicker_na * (1.0 + math.sin(2 * math.pi * LAMP_HZ * t))
            return red_na + light_na, ir_na + light_na
        return red_na, ir_na

    def _light(self, t: float, red_ma: float, ir_ma: float) -> tuple[float, float]:
        noise = self._noise.gauss
        look = int(t * LOOKS_HZ)
        if look != self._look:
            self._look = look
            self._blood = self._seen(t)
        if self._blood is None:
            # Cover glass reflection and what ambient light the chip's canceller leaves.
            return (
                abs(0.4 * red_ma + 0.3 + noise(0.0, self.noise_na)),
                abs(0.4 * ir_ma + 0.3 + noise(0.0, self.noise_na)),
            )
        red_rest, red_pulse, red_breath, ir_rest, ir_pulse, ir_breath = self._blood
        pulse = self.shape(self.patient.beats(t)) * self.occlusion(t)
        breath = math.sin(2 * math.pi * self.patient.breaths(t))
        red_absorbed = red_rest + red_pulse * pulse + red_breath * breath
        ir_absorbed = ir_rest + ir_pulse * pulse + ir_breath * breath
        if self._moving or self.tapping_hz:
            red_move, ir_move = self._movement(t)
            red_absorbed += ir_pulse * red_move
            ir_absorbed += ir_pulse * ir_move
        darker = self.skin - LIGHT_SKIN
        red_na = self._red_na_per_ma * red_ma * math.exp(-self._red_path * red_absorbed - darker * self._red_melanin)
        ir_na = self._ir_na_per_ma * ir_ma * math.exp(-ir_absorbed - darker * self._ir_melanin)
        return red_na + noise(0.0, self.noise_na), ir_na + noise(0.0, self.noise_na)

    def _seen(self, t: float) -> tuple[float, float, float, float, float, float] | None:
        """What the blood absorbs in red and infrared: at rest, with the whole pulse, with a breath; None: no finger.
        It changes over seconds, so twenty looks a second serve a hundred samples."""
        self._moving = self.motion + MOTION_FULL * self.patient.at("motion", t)
        if not self.patient.finger_on(t):
            return None
        arterial = self.patient.at("spo2_pct", t) / 100.0
        venous = max(0.0, arterial - VENOUS_DROP)
        unit = self.patient.at("perfusion_pct", t) / 100.0 / _mix(self._ir, PERFUSION_AT)
        found: list[float] = []
        for colour in (self._red, self._ir):
            artery, vein = unit * _mix(colour, arterial), unit * _mix(colour, venous)
            pulse = artery + vein * self.venous_pulse
            found += (artery * ARTERIAL_REST + vein * VENOUS_SHARE, pulse, vein * BREATH_SHARE)
        return found[0], found[1], found[2], found[3], found[4], found[5]

    def _movement(self, t: float) -> tuple[float, float]:
        """What the hand's movement does to the light path of each colour, in arterial pulses."""
        chance = self._moves
        for i in (0, 1):
            # A random walk that returns within a third of a second: most of its power lies where pulses do.
            self._moved[i] += -self._moved[i] * MOVE_SHARE + chance.gauss(0.0, MOVE_STEP)
        common = math.sin(2 * math.pi * 1.7 * t)
        red = self._moving * (self._moved[0] + common)
        ir = self._moving * (self._moved[1] + common)
        if self.tapping_hz:
            knock = math.exp(-12.0 * (t * self.tapping_hz % 1.0))
            red, ir = red + TAP_SIZE * knock, ir + TAP_SIZE * knock
        return red, ir


def _mix(extinctions: tuple[float, float], saturation: float) -> float:
    return saturation * extinctions[0] + (1.0 - saturation) * extinctions[1]

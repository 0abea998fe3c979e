//! Tests of the LoRaWAN link without a radio.

mod rates;

CREATE TABLE `kept_mail` (
	`id` text PRIMARY KEY NOT NULL,
	`account_id` text NOT NULL,
	`address` text,
	`subject` text NOT NULL,
	`sealed_text` text NOT NULL,
	`created_at` integer NOT NULL,
	`expires_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `kept_mail_expires_at` ON `kept_mail` (`expires_at`);--> statement-breakpoint
CREATE TABLE `known_addresses` (
	`key` text PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`expires_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `known_addresses_name` ON `known_addresses` (`name`,`expires_at`);--> statement-breakpoint
CREATE INDEX `known_addresses_expires_at` ON `known_addresses` (`expires_at`);--> statement-breakpoint
CREATE TABLE `throttles` (
	`key` text PRIMARY KEY NOT NULL,
	`count` integer NOT NULL,
	`held_until` integer,
	`is_told` integer NOT NULL,
	`expires_at` integer NOT NULL
);
--> statement-breakpoint
CREATE INDEX `throttles_expires_at` ON `throttles` (`expires_at`);--> statement-breakpoint
ALTER TABLE `accounts` ADD `pending_since` integer;--> statement-breakpoint
CREATE INDEX `accounts_pending_since` ON `accounts` (`pending_since`);